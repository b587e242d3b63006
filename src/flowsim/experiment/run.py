"""One experiment from its file to a full run folder."""

import dataclasses
import datetime
import logging
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import report, store
from ..integrate import Carry, Chunk, Stopwatch
from ..probes import coordinates
from ..problem import Problem
from ..result import Result
from ..simulate import Prepared, assemble
from . import build
from ._identity import environment, git_state, identity
from .resolved import resolved_yaml
from .schema import Experiment

Progress = Callable[[float, float, float, int, float], None]
"""`(time, t1, loss, steps, fraction)`, called after every chunk."""


class Interrupted(Exception):
    """A signal ended the run between two chunks; everything until there is on disk.

    **Fields:** `signal`: its number; `folder`: where to go on.
    """

    def __init__(self, number: int, folder: pathlib.Path):
        super().__init__(f"interrupted; go on with: flowsim run --resume {folder}")
        self.signal, self.folder = number, folder


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    folder: pathlib.Path
    summary: dict[str, Any]
    ok: bool
    problem: Problem
    prepared: Prepared
    result: Result


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
    run = store.RunFolder(folder)
    if not resume:
        run.create(replace=force)
    with store.Lock(folder), _log(folder) as log:
        problem = build.problem(experiment, source_folder)
        prepared = instrument(problem, build.prepared(experiment, problem))
        if not resume:
            run.write_inputs(source_text, resolved_yaml(experiment), _meta(experiment, prepared, source_folder))
        log.info("reduction %s: %s", prepared.reduction.name, prepared.reduction.reason)
        result = _integrate(prepared, run, identity(experiment, source_folder), folder, resume, progress)
        log.info("status %s at t = %r after %d steps", result.status.kind, result.status.time, result.solver.steps)
        summary = _write(experiment, problem, result, run, say)
        return Outcome(run.path, summary, result.status.ok, problem, prepared, result)


def _integrate(prepared: Prepared, run, who, folder, resume: bool, progress: Progress | None) -> Result:
    watch = Stopwatch()
    carry, chunks = run.segments.restore(prepared.plan, who) if resume else (None, [])
    if not chunks or chunks[-1].status is None:
        with _signals() as stop:
            for chunk in _steps(prepared, carry, stop, folder):
                run.segments.append(len(chunks), chunk, who)
                chunks.append(chunk)
                if progress is not None:
                    _tell(progress, prepared, chunk)
    return assemble(prepared, chunks, *watch.read())


def _steps(prepared: Prepared, carry: Carry | None, stop: "_Stop", folder: pathlib.Path) -> Iterator[Chunk]:
    for chunk in prepared.march(carry):
        yield chunk
        if stop.number and chunk.status is None:
            raise Interrupted(stop.number, folder)


def _tell(progress: Progress, prepared: Prepared, chunk: Chunk) -> None:
    now, t1 = chunk.carry.clock.to_host(), prepared.settings.t1
    loss = float(chunk.rows["loss"][-1]) if len(chunk.times) else float("nan")
    saved = int(chunk.carry.saved) / len(prepared.save_times)
    progress(now, t1, loss, int(chunk.carry.steps), max(saved, now / t1))


def _write(experiment: Experiment, problem: Problem, result: Result, run: store.RunFolder, say) -> dict[str, Any]:
    certified = experiment.certificate.method != "none"
    if certified:
        say("certificate: integrating again with another solver")
        _ = result.certificate
    if experiment.discrete:
        say("discrete: " + ", ".join(f"{d.steps} steps of {d.optimizer}" for d in experiment.discrete))
    descents = build.descents(experiment, problem)
    summary = store.summary(experiment.name, result, certified=certified)
    run.write_trajectory(result.dataset.assign_attrs(name=experiment.name, status=result.status.kind))
    run.write_parameters(result.model)
    run.write_descents(descents)
    run.write_summary(summary)
    say("figures and report")
    report.rebuild(run.path)
    run.finish()
    return summary


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
        "figures": list(experiment.figures),
        "git": git_state(source_folder),
        "variables": variables,
        "coordinates": coordinates(prepared.plan.problem),
        **environment(),
    }


class _Stop:
    """Which signal asked for the end, 0 for none."""

    number = 0


@contextmanager
def _signals() -> Iterator[_Stop]:
    """SIGINT or SIGTERM once: end after the chunk. SIGINT twice: at once; what is on disk stays consistent."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; a caller in a thread stops its own way
        return

    def handle(number: int, frame: object) -> None:
        if stop.number:
            raise KeyboardInterrupt
        stop.number = number

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _log(folder: pathlib.Path) -> Iterator[logging.Logger]:
    """`log.txt` of the run folder."""
    log = logging.getLogger("flowsim")
    handler = logging.FileHandler(folder / "log.txt", encoding="utf8")
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()
