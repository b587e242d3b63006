"""From a checked experiment to objects: the only place where a string becomes one."""

import math
import pathlib
import zlib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import descent as discrete
from .. import events, init, models, plugin, probes, saving, tasks
from .._simulate import Prepared, Settings, prepare
from ..config.arrays import load_embedding, load_task_arrays, load_weights
from ..config.problems import Place, refusal
from ..config.schema import DiscreteConfig, Experiment
from ..config.schema.checks import drawn_in_law
from ..config.schema.solver import DEFAULT_TOLERANCES
from ..moment import Lift, Moment
from ..problem import Problem
from . import parts


def configure(precision: str) -> None:
    """Set JAX up before the first array is made.

    In float32, matrix products must be full float32: the accelerators' default of fewer bits is a noise floor under
    the vector field at which adaptive steps collapse.
    """
    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_default_matmul_precision", "highest")


def stream(seed: int, name: str) -> jax.Array:
    """A named random stream: drawing more from one never shifts another."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()) & 0x7FFFFFFF)


def problem(experiment: Experiment, folder: pathlib.Path) -> Problem:
    """Task, model, initialisation and loss. Paths are relative to `folder`, where the experiment file is."""
    task = _task(experiment, folder)
    if experiment.model.kind == "cooccurrence_transformer":
        model = _model(experiment, task.vocabulary)
    else:
        model = parts.model(experiment.model, task, stream(experiment.seed, "model"))
    model = _initialiser(experiment, task, folder)(model, key=stream(experiment.seed, "init"))
    return Problem(model, task, loss=parts.loss(experiment.loss))


def _model(experiment: Experiment, vocabulary: int) -> models.AbstractWordModel:
    """The model, by its matrices where they can be formed."""
    config: Any = experiment.model
    width, neurons = config.width, config.neurons
    if width == math.inf:
        return models.InfiniteWidthTransformer(vocabulary=vocabulary)
    size: dict[str, Any] = {"vocabulary": vocabulary, "width": int(width), "neurons": neurons}
    if drawn_in_law(experiment):
        return models.FactoredTransformer.of_size(**size)
    return models.CooccurrenceTransformer(**size, key=stream(experiment.seed, "model"))


def prepared(experiment: Experiment, built: Problem) -> Prepared:
    """The run, ready to start."""
    return prepare(
        built,
        settings(experiment),
        events=events_of(experiment),
        user_probes=_user_probes(experiment, built),
        save_times=save_times(experiment),
        flow=parts.flow(experiment.flow),
        reduction=experiment.flow.reduction,
    )


def settings(experiment: Experiment) -> Settings:
    """How the flow is integrated."""
    default = DEFAULT_TOLERANCES[experiment.precision]
    solver = experiment.solver
    return Settings(
        t1=experiment.flow.t1,
        solver=solver.kind,
        rtol=default[0] if solver.rtol is None else solver.rtol,
        atol=default[1] if solver.atol is None else solver.atol,
        step=solver.step,
        max_steps=solver.max_steps,
        certificate="gram" if experiment.certificate.method == "gram" else "solver",
    )


def events_of(experiment: Experiment) -> list[events.Event]:
    """Events that are watched."""
    return [_event(event) for event in experiment.events]


def _user_probes(experiment: Experiment, built: Problem) -> dict[str, Any]:
    """Name -> what is measured beside the standard probes.

    **Raises:** `ExperimentErrors` for one of ours that the shapes of the model's arrays do not allow.
    """
    found: dict[str, Any] = {}
    here = Moment(built, jnp.zeros(()), built.parameters, Lift(built, None))
    for i, config in enumerate(experiment.probes):
        made = dict(_probes(config, experiment, built))
        for probe in made.values():
            try:
                if isinstance(probe, probes.Probe):
                    eqx.filter_eval_shape(probe.measure, here)
            except ValueError as error:
                raise refusal(Place(experiment.name), str(error), f"probes[{i}]") from None
        found |= made
    return found


def _probes(config: Any, experiment: Experiment, built: Problem) -> list[tuple[str, Any]]:
    """Names and functions of what an entry of `probes` measures."""
    match config.kind:
        case "plugin":
            return [(config.use, plugin.get("probe", config.use))]
        case "sharpness":
            made = [probes.sharpness(config.count, of=config.of, steps=config.steps)]
        case "attention_map":
            made = [probes.attention_map(config.sample)]
        case "induction_score":
            made = [probes.induction_score(built.samples.tokens)]
        case "fresh":
            task = parts.fresh(
                experiment.task, config.samples, *(stream(experiment.seed, s) for s in ("task", "fresh"))
            )
            made = [probes.fresh_loss(task)] + [probes.fresh_accuracy(task)] * (task.target != "value")
        case "margins":
            made = [probes.margins()]
        case "subspace_alignment":
            made = [probes.subspace_alignment(config.of, config.to, rank=config.rank, sides=config.sides)]
        case _:
            made = [{"norm": probes.norm, "rank": probes.rank}[config.kind](config.of)]
    return [(probe.name, probe) for probe in made]


def save_times(experiment: Experiment) -> np.ndarray:
    """Times at which probes are saved."""
    save, t1 = experiment.save, experiment.flow.t1
    if save.spacing == "given":
        return saving.with_ends(save.times, t1)
    if save.spacing == "linear":
        return saving.linear_times(t1, points=save.points)
    return saving.log_times(t1, points=save.points, first=save.first)


def descents(experiment: Experiment, built: Problem) -> list[discrete.Descent]:
    """Every optimiser's run of the experiment, one after the other."""
    return [
        discrete.descend(
            built,
            transformation(entry),
            learning_rate=entry.learning_rate,
            steps=entry.steps,
            step_time=parts.step_time(experiment.flow, entry.learning_rate, entry.momentum),
            label=label(entry),
        )
        for entry in experiment.discrete
    ]


def transformation(entry: DiscreteConfig) -> discrete.Optimiser:
    """The optimiser of an entry of `discrete`."""
    options = {} if entry.momentum is None else {"momentum": entry.momentum}
    return discrete.optimiser(entry.optimizer, entry.learning_rate, **options)


def label(entry: DiscreteConfig) -> str:
    """What an entry of `discrete` is called in figures."""
    momentum = "" if entry.momentum is None else f", momentum {entry.momentum:g}"
    return f"{entry.optimizer}, learning rate {entry.learning_rate:g}{momentum}"


def _task(experiment: Experiment, folder: pathlib.Path) -> tasks.Task:
    config = experiment.task
    if config.kind == "file":
        arrays = load_task_arrays(folder / config.path, config.vocabulary)
        return tasks.from_arrays(
            arrays["tokens"], arrays["labels"], vocabulary=config.vocabulary, groups=arrays.get("groups")
        )
    if config.kind != "cooccurrence":
        return parts.task(config, stream(experiment.seed, "task"))
    embedding = None if config.embedding is None else load_embedding(folder / config.embedding, config.vocabulary)
    return tasks.cooccurrence(
        samples=config.samples,
        length=config.length,
        vocabulary=config.vocabulary,
        targets=config.targets,
        distinct_words=config.distinct_words,
        exact_groups=config.exact_groups,
        group_sizes=config.group_sizes,
        embedding=embedding,
        key=stream(experiment.seed, "task"),
    )


def _initialiser(experiment: Experiment, task: tasks.Task, folder: pathlib.Path) -> init.Initialiser:
    config = experiment.init
    if config.kind == "as_made":
        base = init.as_made()
    elif config.kind == "plugin":
        base = plugin.get("init", config.use)(**config.arguments)
    elif config.kind == "gaussian":
        base = init.gaussian(sigma0=config.sigma0, sigma1=config.sigma1)
    elif config.kind == "theory":
        base = init.theory(length=task.length, c0=config.c0, c1=config.c1)
    elif config.kind == "file":
        base = init.from_arrays(**load_weights(folder / config.path))
    else:
        base = {"kaiming_uniform": init.kaiming_uniform, "kaiming_normal": init.kaiming_normal}[config.kind]()
    base = init.balanced(base) if config.balanced else base
    return base if config.scale == 1.0 else init.scale(base, config.scale)


def _event(config) -> events.Event:
    """An event of the standard set; the fields beyond name, direction and terminal are its arguments."""
    if config.kind == "plugin":
        function = plugin.get("event", config.use)
        return events.crossing(config.name, function, direction=config.direction, terminal=config.terminal)
    arguments = config.model_dump(exclude={"kind", "direction"})
    event = getattr(events, config.kind)(**arguments)
    return event if config.direction == event.direction else _turned(event, config.direction)


def _turned(event: events.Event, direction: events.Direction) -> events.Event:
    return events.Event(event.name, event.parts, direction, event.terminal, event.description)
