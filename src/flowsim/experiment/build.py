"""From a checked experiment to objects. Every part is built by its own kind (`config/kinds/`)."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from .. import cache, distributed, events, saving, solvers
from ..claims import Claim
from ..config import Context, registered
from ..config.kind import source
from ..config.kinds.flow import adjusted
from ..config.making import blamed, built, claims_of, event_of, of_type, probes_of, wrong_result
from ..config.problems import ExperimentErrors, Place, refusal, shortened
from ..config.schema import DescentConfig, Experiment
from ..flows import AbstractFlow
from ..problem import Problem
from ..simulation import Prepared, Settings, prepare
from ..solver_names import DEFAULT_TOLERANCES
from ..solvers import Method
from ..tasks import Task
from . import differentiated, tried


def configure(precision: str) -> None:
    """Set JAX up before the first array is made.

    In float32, matrix products must be full float32: the accelerators' default of fewer bits is a noise floor under
    the vector field at which adaptive steps collapse. Compiled programs are kept for the next process.
    """
    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_default_matmul_precision", "highest")
    cache.enable_quietly()


def stream(seed: int, name: str) -> jax.Array:
    """A named random stream: drawing more from one never shifts another."""
    return Context.stream(seed, name)


def problem(experiment: Experiment, folder: pathlib.Path) -> Problem:
    """Task, model, initialization and loss, or the whole problem of a kind of a user's.

    **Arguments:** `folder`: where the experiment file is; paths in it start there.

    **Raises:** `ExperimentErrors` for what a plugin builds wrongly.
    """
    _refuse_devices(experiment)
    here = Context(experiment, folder)
    if experiment.problem is not None:
        return _spread(experiment, of_type(experiment.problem, built(experiment.problem, here), Problem))
    parts: Any = experiment  # without a whole problem these four are there
    task = of_type(parts.task, built(parts.task, here), Task)
    _refuse_loss(parts, task)
    here = here.with_(task=task)
    model = tried.model(parts.model, built(parts.model, here), task)
    model = _started(parts.init, here.with_(model=model), model)
    loss = tried.loss(parts.loss, built(parts.loss, here.with_(model=model)), model, task)
    whole = Problem(model, task, loss=loss, samples_at_once=experiment.evaluation.samples_at_once)
    return _spread(experiment, whole)


def _refuse_loss(parts: Any, task: Task) -> None:
    """A plugin's task may not have said what its labels are.

    **Raises:** `ExperimentErrors` for a loss that is not for them.
    """
    labels = {"value": "number"}.get(task.target, task.target)
    judges = parts.loss.traits.judges
    if judges is not None and labels not in judges:
        fit = [name for name, which in registered("loss").items() if labels in (which.traits.judges or ())]
        told = f"must be {' or '.join(fit)} for the task {parts.task.kind}, whose labels are {labels}s"
        raise refusal(Place(parts.name), f"{told}, got {parts.loss.kind}.", "loss")


def _refuse_devices(experiment: Experiment) -> None:
    """**Raises:** `ExperimentErrors` for more devices than there are."""
    asked = experiment.devices
    if asked.count > jax.device_count():
        key = "devices.samples" if asked.samples >= asked.parameters else "devices.parameters"
        there = "is 1" if jax.device_count() == 1 else f"are {jax.device_count()}"
        message = (
            f"asks for {asked.samples} × {asked.parameters} devices, and there {there}: lower it, which --resume takes "
            "too."
        )
        raise refusal(Place(experiment.name), message, key)


def _spread(experiment: Experiment, whole: Problem) -> Problem:
    """The problem on the devices that are asked for.

    **Raises:** `ExperimentErrors` where its samples or its parameters cannot be split so.
    """
    asked = experiment.devices
    if asked.count == 1:
        return whole
    try:
        return distributed.shard(whole, samples=asked.samples, parameters=asked.parameters)
    except ValueError as error:
        raise refusal(Place(experiment.name), str(error), "devices") from None


def _started(init: Any, here: Context, model: Any) -> Any:
    """The model at the start of the flow."""
    from .. import init as wrappers

    made = built(init, here)
    if not callable(made):
        raise wrong_result(init, made)
    made = wrappers.balanced(made) if init.balanced else made
    made = made if init.scale == 1.0 else wrappers.scale(made, init.scale)
    made = wrappers.centered(made) if init.centered else made
    with blamed(init, "the initializer"):
        try:
            started = made(model, key=here.key("init"))
        except ValueError as error:
            if not init.named_files():
                raise
            raise refusal(Place(here.experiment.name), str(error), "init.path") from None  # of another model
    return tried.start(init, started, model)


def prepared(experiment: Experiment, built: Problem, folder: pathlib.Path = pathlib.Path()) -> Prepared:
    """The run, ready to start."""
    here = context(experiment, built, folder)
    if experiment.sensitivities:
        return differentiated.prepared(
            experiment, here, settings(experiment), flow(experiment, here),
            events=events_of(experiment, here), user_probes=_user_probes(experiment, here),
            save_times=save_times(experiment), method=_method(experiment, here),
        )  # fmt: skip
    return prepare(
        built,
        settings(experiment),
        events=events_of(experiment, here),
        user_probes=_user_probes(experiment, here),
        save_times=save_times(experiment),
        flow=flow(experiment, here),
        reduction=experiment.flow.reduction,
        method=_method(experiment, here),
    )


def _method(experiment: Experiment, here: Context) -> Callable[[Any], Method] | None:
    """`dtype -> Method` of a solver of a user's; None for flowsim's own, which are made by their names."""
    part: Any = experiment.solver
    made = built(part, here)
    if made is None:
        return None
    if isinstance(made, Method):
        if part.compensated and not made.compensated:
            what = "must be left out with a solver that is built as a Method: build a compensated one."
            raise refusal(Place(experiment.name), what, "solver.compensated")
        return lambda dtype: made
    asked = settings(experiment)

    def method(dtype: Any) -> Method:
        with blamed(part, "the solver"):
            return solvers.of_diffrax(
                part.kind, made, rtol=asked.rtol, atol=asked.atol, step=asked.step, dtype=dtype,
                compensated=bool(asked.compensated),
            )  # fmt: skip

    if not solvers.is_diffrax(made):
        raise wrong_result(part, made)
    return method


def context(experiment: Experiment, built: Problem, folder: pathlib.Path = pathlib.Path()) -> Context:
    """What is known when events, probes, the flow and the solver are built."""
    return Context(experiment, folder, built.task, built.model(built.parameters), built)


def flow(experiment: Experiment, here: Context) -> AbstractFlow:
    """The vector field, with what changes its velocity."""
    return adjusted(experiment.flow, of_type(experiment.flow, built(experiment.flow, here), AbstractFlow))


def settings(experiment: Experiment) -> Settings:
    """How the flow is integrated."""
    default = DEFAULT_TOLERANCES[experiment.precision]
    solver: Any = experiment.solver
    return Settings(
        t1=experiment.flow.t1,
        solver=solver.kind,
        rtol=default[0] if solver.rtol is None else solver.rtol,
        atol=default[1] if solver.atol is None else solver.atol,
        step=solver.step,
        max_steps=solver.max_steps,
        certificate="gram" if experiment.certificate.method == "gram" else "solver",
        compensated=solver.compensated,
    )


def events_of(experiment: Experiment, here: Context) -> list[events.Event]:
    """Events that are watched.

    **Raises:** `ExperimentErrors` for one that the samples or the model's arrays do not allow.
    """
    found = []
    for i, part in enumerate(experiment.events):
        with _refused(experiment, f"events[{i}]"):
            made = event_of(part, here)
        found.append(tried.event(part, made, here.problem))
    return found


@contextlib.contextmanager
def _refused(experiment: Experiment, key: str) -> Iterator[None]:
    """What a part refuses once it sees the samples or the arrays is an error of the experiment."""
    try:
        yield
    except ValueError as error:
        raise refusal(Place(experiment.name), str(error), key) from None


def _user_probes(experiment: Experiment, here: Context) -> dict[str, Any]:
    """Name -> what is measured beside the standard probes.

    **Raises:** `ExperimentErrors` for one that the samples or the shapes of the model's arrays do not allow.
    """
    found: dict[str, Any] = {}
    for i, part in enumerate(experiment.probes):
        with _refused(experiment, f"probes[{i}]"):
            made = probes_of(part, here)
        for name, probe in made.items():
            if name in found:
                raise refusal(Place(experiment.name), f"measures {name}, as another probe does.", f"probes[{i}]")
            found[name] = tried.probe(part, probe, here.problem, Place(experiment.name), f"probes[{i}]")
    return found


def figures(experiment: Experiment, folder: pathlib.Path = pathlib.Path()) -> dict[str, Callable]:
    """Name -> function of a drawing, of the figures that a user's kinds draw."""
    found: dict[str, Callable] = {}
    for part in experiment.figures:
        if source(type(part)) is not None:
            made = built(part, Context(experiment, folder))
            if not callable(made):
                raise wrong_result(part, made)
            found[part.kind] = made
    return found


def claims(experiment: Experiment, built: Problem, folder: pathlib.Path = pathlib.Path()) -> list[Claim]:
    """Everything that the experiment's `claims` state."""
    here = context(experiment, built, folder)
    found = []
    for part in experiment.claims:
        made = claims_of(part, here)
        if not all(isinstance(claim, Claim) for claim in made):
            raise wrong_result(part, made[0] if made else None)
        found += made
    return found


def loggers(experiment: Experiment, problem: Problem, folder: pathlib.Path = pathlib.Path()) -> list[Callable]:
    """Functions `(time, values)` of the experiment's `log`.

    **Raises:** `ExperimentErrors` with what a library says that does not take the run: no login, no server, no folder.
    """
    here, found = context(experiment, problem, folder), []
    for i, part in enumerate(experiment.log):
        try:
            made = built(part, here)
        except ExperimentErrors:
            raise
        except Exception as error:  # of whatever library
            said = shortened(" ".join(str(error).split()) or type(error).__name__, 300).rstrip(".")
            raise refusal(Place(experiment.name), f"{part.kind} cannot be opened: {said}.", f"log[{i}]") from error
        if not callable(made):
            raise wrong_result(part, made)
        found.append(made)
    return found


def save_times(experiment: Experiment) -> np.ndarray:
    """Times at which probes are saved."""
    save, t1 = experiment.save, experiment.flow.t1
    if save.spacing == "given":
        return saving.with_ends(save.times, t1)
    if save.spacing == "linear":
        return saving.linear_times(t1, points=save.points)
    return saving.log_times(t1, points=save.points, first=save.first)


def step_time(experiment: Experiment, entry: DescentConfig) -> float:
    """Time that an optimizer's step takes on the flow's clock: η, or heavy ball's with momentum on such a flow."""
    return experiment.flow.step_time(entry.learning_rate, entry.momentum)
