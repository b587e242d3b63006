"""One experiment from its file to a full run folder."""

import contextlib
import dataclasses
import datetime
import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from .. import report, store
from ..config.kinds.figure import DEFAULT
from ..config.resolved import resolved_yaml
from ..config.schema import Experiment
from ..loggers import each_row
from ..problem import Problem
from ..result import Result, assemble, tightened
from ..result.summary import summarized
from ..simulation import AbstractConsumer, Follow, ForEach, Prepared
from ..simulation import run as integrate
from . import build, descent, ensemble_run, folders, influenced, sizes
from .account import Account
from .git import git_state
from .identity import identity, inputs
from .log import logging_to
from .signals import Interrupted, Stop, stopping

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
    """What a run left behind. `run`: None for an ensemble, and for a run that was complete already; `seconds`: wall
    time by stage."""

    folder: pathlib.Path
    summary: store.Summary
    ok: bool
    run: "Run | None" = None
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


def run_experiment(
    experiment: Experiment,
    *,
    source_text: str,
    source_folder: pathlib.Path,
    folder: pathlib.Path,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    members: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
    instrument: Callable[[Problem, Prepared], Prepared] = lambda _, prepared: prepared,
    command: str = "run",
    whole: Experiment | None = None,
    then: Callable[["Run", store.RunFolder, store.Identity], None] | None = None,
) -> Outcome:
    """Integrate, certify, draw and report into `folder`.

    **Arguments:** `source_folder`: where paths in the experiment start. `say`: called with the name of each stage.
    `members`: called with the number of members of an ensemble that have ended, and their total. `instrument`: adds
    probes and events before it starts. `command`: the one that resumes it. `whole`: the experiment that this run is the
    first part of. `then`: what belongs to the run after its own files are written, done before it counts as complete.

    **Raises:** `StoreError` for a folder that cannot be used; `Interrupted` after SIGINT or SIGTERM.
    """
    account = Account()
    build.configure(experiment.precision)
    with account.stage("building"):
        member, problem, prepared, who = _built(experiment, source_folder, instrument, whole or experiment)
    run = store.RunFolder(folder)
    if not resume:
        run.create(replace=force, inputs=inputs(experiment, source_folder).values())
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.Lock(folder))
        run.prepare(fresh=not resume)
        log = stack.enter_context(logging_to(run.path, fresh=not resume))
        stop = stack.enter_context(stopping(folder, command))
        if not resume:
            run.write_inputs(
                source_text,
                resolved_yaml(whole or experiment),
                _meta(experiment, prepared, source_folder, run, command),
            )
        elif run.finished():
            log.info("asked to go on, but the run has ended")
            run.finish()
            return _done(run)
        else:
            run.check_inputs()
            run.update_meta(_shown(experiment))
        log.info("reduction %s: %s", prepared.reduction.name, prepared.reduction.reason)
        log.info("solver %s, rtol %g, atol %g", prepared.plan.method.kind, *_tolerances(prepared))
        if experiment.seeds:
            run.segments.open_members(who)
            return _run_ensemble(experiment, member, source_folder, run, who, members, _checking(stop, say), account)
        target = getattr(experiment.solver, "target_error", None)
        recorder = store.Recorder(run.segments, who, fresh=target is not None)
        consumers = [recorder, *_watching(experiment, problem, prepared, source_folder, progress), _signals(stop)]

        def once(prepared: Prepared) -> Result:
            with stop.deferred():
                return assemble(prepared, stop.run(lambda: integrate(prepared, *consumers)))

        result = once(prepared) if target is None else tightened(prepared, target, once)
        store.write_continuation(run.path, result.history, who)
        account.add("compiling", result.solver.seconds_compile)
        account.add("integration", result.solver.seconds_run)
        _log(log, result)
        summary = _write(experiment, problem, result, run, source_folder, _checking(stop, say), account)
        made = Run(problem, result.prepared, result)
        if then is not None:
            then(made, run, who)
            stop.check()
        run.finish()
        return Outcome(run.home, summary, result.status.ok, made, account.seconds)


def _built(experiment: Experiment, source_folder: pathlib.Path, instrument, whole: Experiment):
    """All that is read and made before the run folder is touched."""
    member = ensemble_run.first_member(experiment, source_folder) if experiment.seeds else experiment
    sizes.refuse_weights_that_cannot_fit(member)
    problem = build.problem(member, source_folder)
    prepared = instrument(problem, build.prepared(member, problem, source_folder))
    influenced.refuse(member, problem, prepared)
    return member, problem, prepared, identity(whole, source_folder)


def _watching(
    experiment: Experiment, problem: Problem, prepared: Prepared, source_folder: pathlib.Path, progress: Progress | None
) -> list[AbstractConsumer]:
    """Who is told of every chunk."""
    consumers: list[AbstractConsumer] = []
    if progress is not None:
        consumers.append(Follow(progress))
    if experiment.log:
        consumers.append(ForEach(each_row(*build.loggers(experiment, problem, source_folder))))
    return consumers


def _signals(stop: Stop) -> AbstractConsumer:
    """Ends the run after the chunk in which a signal came."""
    return ForEach(lambda _: stop.check())


def _tolerances(prepared: Prepared) -> tuple[float, float]:
    return prepared.settings.rtol, prepared.settings.atol


def _checking(stop: Stop, say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, but a signal whose exception got lost ends the run at the next stage."""

    def tell(text: str) -> None:
        stop.check()
        say(text)

    return tell


def _log(log: logging.Logger, result: Result) -> None:
    for switch in result.solver.switches:
        log.info("from t = %g on the solver is %s", switch.time, switch.kind)
    for name, record in result.crossings.items():
        log.info("event %s: %s", name, ", ".join(f"{time:.10g}" for time in record.times[:20]) or "never")
    log.info("status %s at t = %r after %d steps", result.status.kind, result.status.time, result.solver.steps)


def _run_ensemble(
    experiment: Experiment, member: Experiment, source_folder, run, who, members, say, account: Account
) -> Outcome:
    """Every seed; those that an interrupted run has finished are taken from its folder."""
    say(f"{len(experiment.seeds)} seeds in this process; `flowsim sweep` over `seed` runs each on its own, anywhere")
    if experiment.certificate.method != "none":
        say("certificate: every seed is integrated again with another solver, about as much work once more")
    with account.stage("integration and certificates"):
        result = ensemble_run.integrate(member, experiment.seeds, source_folder, run, who, members)
    if experiment.descent:
        say(f"descent: the optimizer's run of seed {member.seed} only, beside the medians of all")
    say("figures and report")
    with account.stage("descent, figures and report"):
        summary = ensemble_run.write(experiment, member, source_folder, result, run)
    return Outcome(run.home, summary, result.ok, seconds=account.seconds)


def _done(run: store.RunFolder) -> Outcome:
    summary = store.Summary.read(run.home)
    assert summary is not None
    return Outcome(run.home, summary, summary.complete)


def _write(
    experiment: Experiment, problem: Problem, result: Result, run: store.RunFolder, source_folder, say, account: Account
) -> store.Summary:
    certified = experiment.certificate.method != "none"
    if certified:
        say("certificate: integrating again with another solver")
    with account.stage("certificate"):
        result = result.certified(result.certificate) if certified else result
    if experiment.descent:
        say("descent: " + ", ".join(f"{d.steps} steps of {d.optimizer}" for d in experiment.descent))
    with account.stage("descent"):
        taken = descent.take(experiment, problem, result.status)
    if experiment.influence:
        say("influence: backwards through the steps, for the weight of every sample")
    with account.stage("influence"):
        weighed = influenced.take(experiment, problem, result, source_folder)
    seconds = {f"seconds_{name}": account.seconds[name] for name in ("certificate", "descent")}
    summary = summarized(result, experiment.name, seconds)
    summary = summary.model_copy(update={**descent.section(taken), **influenced.section(weighed)})
    dataset = influenced.added(result.dataset, weighed).assign_attrs(name=experiment.name, status=result.status.kind)
    say("figures and report")
    with account.stage("figures and report"):
        run.write_trajectory(dataset)
        run.write_parameters(result.model)
        run.write_descents([one.dataset() for one in taken])
        run.write_summary(summary)
        report.rebuild(run.path, dataset=dataset, own=build.figures(experiment))
    return summary


def _figures(experiment: Experiment) -> list[Any]:
    """Those that are asked for; of an ensemble whose figures are the default ones, the event times as well."""
    asked: list[Any] = list(experiment.figures)
    entries = [{"kind": part.kind, **part.options()} if part.options() else part.kind for part in asked]
    more = ["event_times"] if experiment.seeds and experiment.events and tuple(entries) == DEFAULT else []
    return [*entries, *more]


def _shown(experiment: Experiment) -> dict[str, Any]:
    """What may change between an interruption and the resumed run, because no number depends on it."""
    return {"name": experiment.name, "notes": experiment.notes, "figures": _figures(experiment)}


def _meta(experiment: Experiment, prepared: Prepared, source_folder: pathlib.Path, run, command: str) -> dict[str, Any]:
    """`meta.json`: what the run ran on, and what a reader of its segments needs."""
    return {
        "schema_version": store.SCHEMA_VERSION,
        **_shown(experiment),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": experiment.seed,
        "precision": experiment.precision,
        "command": command,
        "source_folder": folders.written(source_folder, run.home),
        "git": git_state(source_folder),
        **store.described(prepared),
    }


__all__ = ["Interrupted", "Outcome", "Progress", "run_experiment"]
