"""The paper's claims, measured over the seeds and sizes of an experiment."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax.numpy as jnp

from .. import ensemble, plot, report, store, tasks
from ..claims import tally
from ..claims import yang2024 as theory
from ..claims.yang2024 import scaling
from ..config.problems import Place, refusal
from ..config.schema import Experiment, Scaling
from ..problem import Problem
from ..result import assemble
from ..simulation import Prepared
from ..simulation import run as integrate
from . import build, ensemble_run
from .run import Progress, run_experiment

FRESH = 6000  # samples on which the test loss is measured


@dataclasses.dataclass(frozen=True)
class Verified:
    """What a verification found. `ok`: did every run reach its end?"""

    folder: pathlib.Path
    claims: dict[str, Any]
    ok: bool


def verify_experiment(
    experiment: Experiment,
    *,
    source_text: str,
    source_folder: pathlib.Path,
    folder: pathlib.Path,
    force: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Verified:
    """Run the experiment into `folder`, then its other seeds and its sizes, and judge every claim.

    The folder is a run folder of the first seed, with `claims.json` and a figure for each claim beside it.

    **Raises:** as `run_experiment`; `ExperimentErrors` for an experiment of which the paper claims nothing.
    """
    if (
        experiment.problem is not None
        or experiment.model.kind != "cooccurrence_transformer"
        or experiment.task.kind not in ("cooccurrence", "file")
    ):
        raise refusal(Place(experiment.name), "must be of the paper's model and task: no claim is about another.")
    if math.isinf(experiment.model.width):  # pyright: ignore[reportAttributeAccessIssue] (the kind has a width)
        raise refusal(Place(experiment.name), "model.width must be finite: the claims are about neurons and words.")
    build.configure(experiment.precision)
    first, *others = experiment.seeds or (experiment.seed,)
    base = ensemble_run.first_member(experiment.model_copy(update={"seeds": (first, *others)}), source_folder)
    outcome = run_experiment(
        base, source_text=source_text, source_folder=source_folder, folder=folder, force=force,
        progress=progress, say=say, instrument=instrument,
    )  # fmt: skip
    run: Any = outcome.run
    runs = [_evidence(base, run.problem, run.prepared, run.result)]
    if others:
        for evidence in ensemble.each(lambda seed: member(ensemble_run.member(base, seed), source_folder), others):
            runs.append(evidence)
            say(f"seeds: {len(runs)} of {len(others) + 1}")
    verdicts = [theory.verdicts(evidence) for evidence in runs]
    tallies = [tally(column) for column in zip(*verdicts, strict=True)]
    exponents = [found for entry in experiment.scaling for found in _sizes(experiment, entry, source_folder, say)]
    claims = store.claims(experiment.name, (first, *others), tallies, exponents, theory.DEFAULT)
    with store.Lock(folder):
        plot.draw_claims(verdicts, exponents, [run.T1 for run in runs], folder / "figures" / "claims")
        store.write_claims(folder, claims)
        report.rebuild(folder)
    return Verified(folder, claims, all(evidence.complete for evidence in runs))


def instrument(problem: Problem, prepared: Prepared) -> Prepared:
    """The run with the probes and events that the claims need."""
    if problem.samples.groups is None:
        raise refusal(Place("task"), "must have `groups`: the claims are about groups of samples.")
    watched = theory.watched()
    names = {event.name for event in watched}
    others = tuple(event for event in prepared.plan.events if event.name not in names)
    probes = prepared.plan.probes + theory.measured(problem, prepared.reduction)
    return dataclasses.replace(
        prepared, plan=dataclasses.replace(prepared.plan, probes=probes, events=watched + others)
    )


def member(experiment: Experiment, folder: pathlib.Path, *, certify: bool = True) -> theory.Evidence:
    """One run of an ensemble. Runs of equal shapes share one compiled program."""
    problem = build.problem(experiment, folder)
    prepared = instrument(problem, build.prepared(experiment, problem, folder))
    result = assemble(prepared, integrate(prepared))
    if certify and experiment.certificate.method != "none":
        result = result.certified(result.certificate)
    return _evidence(experiment, problem, prepared, result)


def _evidence(experiment: Experiment, problem: Problem, prepared: Prepared, result) -> theory.Evidence:
    fresh = None
    if experiment.task.kind == "cooccurrence":
        fresh = tasks.cooccurrence(
            samples=FRESH,
            length=experiment.task.length,
            vocabulary=experiment.task.vocabulary,
            targets=experiment.task.targets,
            key=build.stream(experiment.seed, "fresh"),
        )
    return theory.observe(problem, prepared.reduction, result, tolerance=prepared.settings.rtol, fresh=fresh)


def _sizes(experiment: Experiment, entry: Scaling, folder: pathlib.Path, say) -> Iterator[scaling.Exponent]:
    place, field = entry.place
    points = []
    for value in entry.values:
        say(f"{entry.over} = {value:g}: {entry.seeds} seeds")
        size = int(value) if isinstance(getattr(getattr(experiment, place), field), int) else value
        section = getattr(experiment, place).model_copy(update={field: size})
        changed = _gram(experiment.model_copy(update={place: section}))

        def point(seed: int, value=value, changed=changed) -> scaling.Point:
            here = ensemble_run.member(changed, seed)
            here = _same_stage(experiment, here, folder) if entry.same_stage else here
            return scaling.Point(value, seed, member(here, folder, certify=False))

        points += ensemble.each(point, range(experiment.seed, experiment.seed + entry.seeds))
    yield from scaling.fit(entry.over, points)


def _gram(experiment: Experiment) -> Experiment:
    """The Gram system holds the width as a number, so that all widths share one compiled program."""
    if experiment.flow.reduction != "auto" or getattr(experiment.task, "embedding", None) is not None:
        return experiment
    return experiment.model_copy(update={"flow": experiment.flow.model_copy(update={"reduction": "gram"})})


def _same_stage(base: Experiment, changed: Experiment, folder: pathlib.Path) -> Experiment:
    """The changed experiment with its times stretched by the speeds of phase 1, (σ0² + σ1²) m m1."""
    ratio = _speed(base, folder) / _speed(changed, folder)
    flow = changed.flow.model_copy(update={"t1": base.flow.t1 * ratio})
    save = base.save
    if save.spacing == "given":
        save = save.model_copy(update={"times": tuple(time * ratio for time in save.times)})
    elif save.spacing == "log":
        save = save.model_copy(update={"first": (save.first or 1e-3) * ratio})
    return changed.model_copy(update={"flow": flow, "save": save})


def _speed(experiment: Experiment, folder: pathlib.Path) -> float:
    problem, config = build.problem(experiment, folder), cast(Any, experiment.model)
    model = problem.model(problem.parameters)
    values = jnp.diagonal(model.value_gram(jnp.arange(3)))
    return float(model.readout_squared() + config.neurons * jnp.mean(values))
