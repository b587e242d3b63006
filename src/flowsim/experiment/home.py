"""The folder of a run while it is being run: locked, logged to, and either new or taken up again."""

import contextlib
import dataclasses
import datetime
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

from .. import store
from ..config import Source
from ..config.kinds.figure import DEFAULT
from ..config.resolved import resolved_yaml
from ..config.schema import Experiment
from ..simulation import Prepared
from . import folders
from .git import git_state
from .identity import inputs
from .log import logging_to
from .signals import Stop, stopping


@dataclasses.dataclass(frozen=True)
class Home:
    """A run folder that is open. `finished`: it holds the whole run already."""

    run: store.RunFolder
    log: logging.Logger
    stop: Stop
    finished: bool


@contextlib.contextmanager
def opened(
    source: Source,
    prepared: Prepared,
    folder: pathlib.Path,
    *,
    resume: bool = False,
    force: bool = False,
    outer: Stop | None = None,
) -> Iterator[Home]:
    """The folder of a run, for this process alone while the block runs.

    **Arguments:** `prepared`: for what `meta.json` says of it. `outer`: asked too whether to stop.

    **Raises:** `StoreError` for a folder that cannot be used; `Interrupted` after SIGINT or SIGTERM.
    """
    run = store.RunFolder(folder)
    if not resume:
        run.create(replace=force, inputs=inputs(source.experiment, source.folder).values())
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.Lock(folder))
        run.prepare(fresh=not resume)
        log = stack.enter_context(logging_to(run.path, fresh=not resume))
        stop = stack.enter_context(stopping(folder, source.command, outer))
        finished = resume and run.finished()
        if finished:
            log.info("asked to go on, but the run has ended")
            run.finish()
        elif resume:
            run.check_inputs()
            if store.Meta.read(run.path).record().get("devices") != _devices(source.experiment):
                run.write_resolved(resolved_yaml(source.whole or source.experiment))
            run.update_meta(_shown(source.experiment))
        else:
            resolved = resolved_yaml(source.whole or source.experiment)
            run.write_inputs(source.text, resolved, _meta(source, prepared, run))
        if not finished:
            settings = prepared.settings
            log.info("reduction %s: %s", prepared.reduction.name, prepared.reduction.reason)
            log.info("solver %s, rtol %g, atol %g", prepared.plan.method.kind, settings.rtol, settings.atol)
        yield Home(run, log, stop, finished)


def _figures(experiment: Experiment) -> list[Any]:
    """Those that are asked for; of an ensemble whose figures are the default ones, the event times as well."""
    asked: list[Any] = list(experiment.figures)
    entries = [{"kind": part.kind, **part.options()} if part.options() else part.kind for part in asked]
    more = ["event_times"] if experiment.seeds and experiment.events and tuple(entries) == DEFAULT else []
    return [*entries, *more]


def _shown(experiment: Experiment) -> dict[str, Any]:
    """What may change between an interruption and the resumed run: no number depends on it, but for rounding."""
    shown = {"name": experiment.name, "notes": experiment.notes, "figures": _figures(experiment)}
    return {**shown, "devices": _devices(experiment)}


def _devices(experiment: Experiment) -> dict[str, int]:
    return experiment.devices.model_dump(mode="json")


def _meta(source: Source, prepared: Prepared, run: store.RunFolder) -> dict[str, Any]:
    """`meta.json`: what the run ran on, and what a reader of its segments needs."""
    return {
        "schema_version": store.SCHEMA_VERSION,
        **_shown(source.experiment),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": source.experiment.seed,
        "precision": source.experiment.precision,
        "command": source.command,
        "source_folder": folders.written(source.folder, run.home),
        "git": git_state(source.folder),
        **store.described(prepared),
    }
