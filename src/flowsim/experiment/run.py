"""One experiment from its file to a full run folder."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from .. import distributed, store
from ..certificate import certify, verifying
from ..config import Source
from ..loggers import each_row
from ..problem import Problem
from ..result import Result, assemble, tightened
from ..result.summary import summarized
from ..simulation import AbstractConsumer, Follow, ForEach, Prepared
from ..simulation import run as integrate
from . import build, descent, influenced, sizes
from .account import Account
from .home import opened
from .identity import identity
from .signals import Interrupted, Stop

Progress = Callable[[float, float, float, int, float], None]
"""`(time, t1, loss, steps, fraction)`, called after every chunk."""

Stage = Callable[[str, str], None]
"""`(what is done from now on, the label of its progress)`, called where the person who waits would see nothing else."""


Aside = Callable[[Callable[[], Any]], contextlib.AbstractContextManager[Callable[[], Any]]]
"""`aside(work)`: a block beside which `work` is done, which waits for its result by calling what it is given."""


def _unseen(text: str, label: str) -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as it is in memory."""

    problem: Problem
    prepared: Prepared
    result: Result


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run left behind. `run`: None for many runs, and for a run that was complete already; `seconds`: wall
    time by stage."""

    folder: pathlib.Path
    summary: store.Summary
    ok: bool
    run: "Run | None" = None
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Is there nothing left to run?"""
        return self.summary.status != "incomplete"


def run_experiment(
    source: Source,
    folder: pathlib.Path,
    *,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
    stage: Stage = _unseen,
    instrument: Callable[[Problem, Prepared], Prepared] = lambda _, prepared: prepared,
    stop: Stop | None = None,
    then: Callable[["Run", store.RunFolder, store.Identity], None] | None = None,
) -> Outcome:
    """Integrate, certify, draw and report into `folder`.

    **Arguments:** `say`: called with the name of each stage after the flow, `stage` with every one. `instrument`: adds
    probes and events before it starts. `stop`: ends it where it is asked, for a run beside the main thread. `then`:
    what belongs to the run after its own files are written, done before it counts as complete.

    **Raises:** `StoreError` for a folder that cannot be used; `Interrupted` after SIGINT or SIGTERM.
    """
    account, experiment = Account(), source.experiment
    assert not experiment.seeds, "many seeds are run by flowsim.sweep.ensemble"
    build.configure(experiment.precision)
    with account.stage("building"):
        stage("building the problem", "")
        problem, prepared, who = _built(source, instrument)
    with (
        distributed.own_folder(folder) as own,
        opened(source, prepared, own, resume=resume, force=force, outer=stop) as home,
    ):
        run, log, stop = home.run, home.log, home.stop
        if home.finished:
            return done(run, say)
        target = getattr(experiment.solver, "target_error", None)
        kept = store.Recorder(run.segments, who, fresh=target is not None)
        consumers = [kept, *_watching(source, problem, progress), _signals(stop)]

        def once(prepared: Prepared) -> Result:
            with stop.deferred():
                return assemble(prepared, stop.run(lambda: integrate(prepared, *consumers)))

        stage("compiling, and the first steps", "")
        result = once(prepared) if target is None else tightened(prepared, target, once)
        account.add("compiling", result.solver.seconds_compile)
        account.add("integration", result.solver.seconds_run)
        store.write_continuation(run.path, result.history, who)
        _log(log, result)
        made = Run(problem, result.prepared, result)
        told, certified = checking(stop, say, stage), functools.partial(_certified, progress=progress, stage=stage)
        summary = write(source, problem, result, run, told, account, certified, aside=stop.aside)
        if then is not None:
            then(made, run, who)
            stop.check()
        run.finish()
        return Outcome(run.home, summary, result.status.ok, made, account.seconds)


def recorded(source: Source, result: Result, folder: pathlib.Path, *, runs: int) -> None:
    """The folder of one of several `runs` that was integrated, and certified if it is to be, in this process."""
    problem = result.prepared.plan.lift.original
    with opened(source, result.prepared, folder, force=True, outer=Stop(folder)) as home:
        weights = sizes.weights_are_kept(problem, runs)
        if not weights:
            home.log.info("weights are not kept: those of all %d runs take too much; a run by itself keeps them", runs)
        write(source, problem, result, home.run, lambda _: None, Account(), weights=weights)
        home.run.finish()


def _built(source: Source, instrument) -> tuple[Problem, Prepared, store.Identity]:
    """All that is read and made before the run folder is touched."""
    experiment = source.experiment
    sizes.refuse_weights_that_cannot_fit(experiment)
    problem = build.problem(experiment, source.folder)
    prepared = instrument(problem, build.prepared(experiment, problem, source.folder))
    influenced.refuse(experiment, problem, prepared)
    return problem, prepared, identity(source.whole or experiment, source.folder)


def _watching(source: Source, problem: Problem, progress: Progress | None) -> list[AbstractConsumer]:
    """Who is told of every chunk."""
    consumers: list[AbstractConsumer] = []
    if progress is not None:
        consumers.append(Follow(progress))
    if source.experiment.log and distributed.first():
        consumers.append(ForEach(each_row(*build.loggers(source.experiment, problem, source.folder))))
    return consumers


def _signals(stop: Stop) -> AbstractConsumer:
    """Ends the run after the chunk in which a signal came, to whichever of its processes."""

    def check(_: object) -> None:
        if asked := int(distributed.largest(stop.asked)):
            stop.ask(asked)
        stop.check()

    return ForEach(check)


def _certified(result: Result, progress: Progress | None = None, stage: Stage = _unseen) -> Result:
    """With its certificate, whose second integration is shown as the first one is."""
    if result.known is not None or progress is None:
        return result.certified(result.certificate)
    stage("certificate: compiling, and the first steps", "certificate: ")
    there = integrate(verifying(result.prepared, result), Follow(progress))
    return result.certified(certify(result.prepared, result, verification=there))


def checking(stop: Stop, say: Callable[[str], None], stage: Stage = _unseen) -> Callable[[str], None]:
    """`say`, which is a stage too, but a signal whose exception got lost ends the run at the next one."""

    def tell(text: str) -> None:
        stop.check()
        say(text)
        stage(text.partition(":")[0], "")

    return tell


def _log(log: logging.Logger, result: Result) -> None:
    for switch in result.solver.switches:
        log.info("from t = %g on the solver is %s", switch.time, switch.kind)
    for name, record in result.crossings.items():
        log.info("event %s: %s", name, ", ".join(f"{time:.10g}" for time in record.times[:20]) or "never")
    log.info("status %s at t = %r after %d steps", result.status.kind, result.status.time, result.solver.steps)


def done(run: store.RunFolder, say: Callable[[str], None]) -> Outcome:
    """Of a run that had ended before, which is said."""
    say(f"{run.home} had ended before: nothing is run again")
    summary = store.Summary.read(run.home)
    assert summary is not None
    return Outcome(run.home, summary, summary.complete)


def write(
    source: Source,
    problem: Problem,
    result: Result,
    run: store.RunFolder,
    say: Callable[[str], None],
    account: Account,
    with_certificate: Callable[[Result], Result] = _certified,
    *,
    weights: bool = True,
    aside: Aside = contextlib.nullcontext,
) -> store.Summary:
    """Everything that a run folder holds of a run that has ended: certificate, descent, files, figures, report.

    **Arguments:** `aside`: does what needs no attention beside the rest, where there is room for both.
    """
    experiment = source.experiment
    certified = experiment.certificate.method != "none"
    take = functools.partial(descent.take, experiment, problem, result.status)
    with (aside if sizes.leaves_room(experiment, problem) else contextlib.nullcontext)(take) as taken:
        if certified:
            say("certificate: integrating again with another solver")
        with account.stage("certificate"):
            result = with_certificate(result) if certified else result
        if experiment.descent:
            say("descent: " + ", ".join(f"{d.steps} steps of {d.optimizer}" for d in experiment.descent))
        from .. import report  # loads Matplotlib, meanwhile

        with account.stage("descent"):
            taken = taken()
    if experiment.influence:
        say("influence: backwards through the steps, for the weight of every sample")
    with account.stage("influence"):
        weighed = influenced.take(experiment, problem, result, source.folder)
    seconds = {f"seconds_{name}": account.seconds[name] for name in ("certificate", "descent")}
    summary = summarized(result, experiment.name, seconds)
    more = {"member": source.id, **descent.section(taken), **influenced.section(weighed)}
    summary = summary.model_copy(update=more)
    dataset = influenced.added(result.dataset, weighed).assign_attrs(name=experiment.name, status=result.status.kind)
    say("figures and report")
    with account.stage("figures and report"):
        run.write_trajectory(dataset)
        if weights:
            run.write_parameters(result.model)
        run.write_descents([one.dataset() for one in taken])
        run.write_summary(summary)
        report.rebuild(run.path, dataset=dataset, own=build.figures(experiment, source.folder))
    return summary


__all__ = ["Interrupted", "Outcome", "Progress", "Stage", "checking", "done", "recorded", "run_experiment", "write"]
