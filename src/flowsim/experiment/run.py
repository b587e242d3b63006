"""One experiment from its file to a full run folder."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable
from typing import Any

from .. import report, store
from ..config.kinds.figure import DEFAULT
from ..config.resolved import resolved_yaml
from ..config.schema import Experiment
from ..probes import coordinates
from ..problem import Problem
from ..records import Status
from ..result import Result, assemble
from ..simulation import AbstractConsumer, Chunk, ForEach, History, Prepared
from ..simulation import run as integrate
from . import build, descent, ensemble_run, sizes
from .identity import environment, git_state, identity
from .log import logging_to
from .signals import Interrupted, stopping

Progress = Callable[[float, float, float, int, float], None]
"""`(time, t1, loss, steps, fraction)`, called after every chunk."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as it is in memory."""

    problem: Problem
    prepared: Prepared
    result: Result


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run left behind. `run`: None of an ensemble, and of a run that had been finished before."""

    folder: pathlib.Path
    summary: dict[str, Any]
    ok: bool
    run: "Run | None" = None


def run_experiment(
    experiment: Experiment,
    *,
    source_text: str,
    source_folder: pathlib.Path,
    folder: pathlib.Path,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
    instrument: Callable[[Problem, Prepared], Prepared] = lambda _, prepared: prepared,
) -> Outcome:
    """Integrate, certify, draw and report into `folder`.

    **Arguments:** `source_folder`: where paths in the experiment start. `say`: told of each stage.
    `instrument`: adds probes and events to the run before it starts.

    **Raises:** `StoreError` for a folder that cannot be used; `Interrupted` after SIGINT or SIGTERM.
    """
    build.configure(experiment.precision)
    member = ensemble_run.first_member(experiment, source_folder) if experiment.seeds else experiment
    sizes.refuse_weights_that_cannot_fit(member)
    problem = build.problem(member, source_folder)
    prepared = instrument(problem, build.prepared(member, problem, source_folder))
    run = store.RunFolder(folder)
    if not resume:
        run.create(replace=force)
    with store.Lock(folder), logging_to(folder, fresh=not resume) as log, stopping(folder) as stop:
        run.prepare(fresh=not resume)
        if not resume:
            run.write_inputs(source_text, resolved_yaml(experiment), _meta(experiment, prepared, source_folder))
        elif run.finished():
            log.info("asked to go on, but the run has ended")
            run.finish()
            return _done(run)
        log.info("reduction %s: %s", prepared.reduction.name, prepared.reduction.reason)
        if experiment.seeds:
            run.segments.open_members(identity(experiment, source_folder))
            return _run_ensemble(experiment, member, prepared, source_folder, run, progress, say)
        consumers: list[AbstractConsumer] = [Recorder(run, identity(experiment, source_folder))]
        if progress is not None:
            consumers.append(ForEach(lambda chunk: _tell(progress, prepared, chunk)))
        consumers.append(ForEach(lambda _: stop.obey()))
        with stop.patience():
            history = stop.run(lambda: integrate(prepared, *consumers))
        result = assemble(prepared, history)
        log.info("status %s at t = %r after %d steps", result.status.kind, result.status.time, result.solver.steps)
        summary = _write(experiment, problem, result, run, say)
        return Outcome(run.path, summary, result.status.ok, Run(problem, prepared, result))


def _run_ensemble(
    experiment: Experiment, member: Experiment, prepared: Prepared, source_folder, run, progress: Progress | None, say
) -> Outcome:
    """Every seed; those that an interrupted run has finished are taken from its folder."""
    t1 = prepared.settings.t1

    def tell(done: int, members: int) -> None:
        if progress is not None:
            progress(t1, t1, float("nan"), done, done / members)

    if experiment.certificate.method != "none":
        say("certificate: every seed is integrated again with another solver, about as much work once more")
    result = ensemble_run.integrate(member, experiment.seeds, source_folder, run, tell)
    if experiment.discrete:
        say(f"discrete: the optimiser's run of seed {member.seed} only, beside the medians of all")
    say("figures and report")
    summary = ensemble_run.write(experiment, member, source_folder, result, run)
    return Outcome(run.path, summary, result.ok)


class Recorder(AbstractConsumer):
    """Keeps a run on the disk, chunk by chunk, and takes an interrupted one up again."""

    def __init__(self, run: store.RunFolder, identity: store.Identity):
        self._segments, self._identity = run.segments, identity

    def begin(self, prepared: Prepared, history: History) -> None:
        self._segments.restore(prepared.methods, self._identity, history)

    def take(self, chunk: Chunk, history: History) -> Status | None:
        self._segments.append(history.number - 1, chunk, self._identity)


def _done(run: store.RunFolder) -> Outcome:
    summary = store.load(run.path).summary or {}
    return Outcome(run.path, summary, bool(summary.get("complete")))


def _tell(progress: Progress, prepared: Prepared, chunk: Chunk) -> None:
    now, t1 = chunk.carry.clock.to_host(), prepared.settings.t1
    loss = float(chunk.rows["loss"][-1]) if len(chunk.times) else float("nan")
    saved = int(chunk.carry.saved) / len(prepared.save_times)
    progress(now, t1, loss, int(chunk.carry.steps), max(saved, now / t1))


def _write(experiment: Experiment, problem: Problem, result: Result, run: store.RunFolder, say) -> dict[str, Any]:
    certified = experiment.certificate.method != "none"
    if certified:
        say("certificate: integrating again with another solver")
        result = result.certified(result.certificate)
    if experiment.discrete:
        say("discrete: " + ", ".join(f"{d.steps} steps of {d.optimizer}" for d in experiment.discrete))
    descents = build.descents(experiment, problem)
    drifts = descent.drifts(experiment, problem, result.status)
    summary = store.summary(experiment.name, result, certified=certified) | descent.section(drifts)
    dataset = result.dataset.assign_attrs(name=experiment.name, status=result.status.kind)
    run.write_trajectory(dataset)
    run.write_parameters(result.model)
    run.write_descents(descents, [drift and drift.dataset() for drift in drifts])
    run.write_summary(summary)
    say("figures and report")
    report.rebuild(run.path, dataset=dataset)
    run.finish()
    return summary


def _figures(experiment: Experiment) -> list[str]:
    """Those that are asked for; of an ensemble whose figures are the default ones, the event times as well."""
    names = tuple(figure.kind for figure in experiment.figures)
    more = ("event_times",) if experiment.seeds and experiment.events and names == DEFAULT else ()
    return [*names, *more]


def _meta(experiment: Experiment, prepared: Prepared, source_folder: pathlib.Path) -> dict[str, Any]:
    """`meta.json`: what the run ran on, and what a reader of its segments needs."""
    variables = {
        probe.name: {"dims": list(probe.dims or ()), "attributes": {"long_name": probe.long_name, "units": probe.units}}
        for probe in prepared.plan.probes
    }
    return {
        "schema_version": store.SCHEMA_VERSION,
        "name": experiment.name,
        "notes": experiment.notes,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": experiment.seed,
        "precision": experiment.precision,
        "source_folder": str(source_folder.resolve()),
        "figures": _figures(experiment),
        "git": git_state(source_folder),
        "variables": variables,
        "coordinates": coordinates(prepared.plan.problem),
        **environment(),
    }


__all__ = ["Interrupted", "Outcome", "Progress", "run_experiment"]
