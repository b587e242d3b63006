"""A run from Python in a run folder: as it goes, or once it has ended."""

import contextlib
import datetime
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from .. import _tree, distributed
from ..simulation import Prepared
from ..store import Lock, Meta, Recorder, RefusedError, RunFolder
from ..store.described import described, fingerprint
from ..store.meta import NAME as META
from .result import Result
from .summary import SCHEMA_VERSION, summarized

COMMAND = "simulate"  # as `meta.json` names what made the folder
_PAPER = ["loss", "attention", "alignment", "balance"]  # figures of a problem of words


class Keeping:
    """A run that is being kept.

    **Fields:** `recorder`: the consumer that writes its chunks, and takes an interrupted run up again.
    """

    def __init__(self, home: RunFolder, recorder: Recorder):
        self._home, self.recorder = home, recorder

    def finish(self, result: Result) -> None:
        """Write what a run folder holds of a run that has ended; an interrupted one stays as it is, to be resumed."""
        if result.status.kind != "interrupted":
            _write(self._home, result, None)
            self._home.finish()


@contextlib.contextmanager
def keeping(folder: str | os.PathLike, prepared: Prepared, *, fresh: bool) -> Iterator[Keeping]:
    """Keep a run in a folder, chunk by chunk, while the block integrates it.

    **Arguments:** `fresh`: every integration starts anew, as those of a `target_error` do.

    **Raises:** `StoreError` for a folder that holds something else than this run, interrupted.
    """
    with distributed.own_folder(pathlib.Path(folder)) as own:
        home = RunFolder(own)
        resumed = _interrupted(home)
        if not resumed:
            home.create()
        with Lock(home.home):
            home.prepare(fresh=not resumed)
            if not resumed:
                home.write_meta(_meta(prepared, home.home.resolve().name))
            yield Keeping(home, Recorder(home.segments, fingerprint(prepared), fresh=fresh))


def save(result: Result, folder: str | os.PathLike, *, name: str | None, replace: bool) -> pathlib.Path:
    """Write a result as a run folder. See `Result.save`."""
    with distributed.own_folder(pathlib.Path(folder)) as own:
        home = RunFolder(own)
        if not replace:
            _refuse_used(home, "choose another folder, or write replace=True")
        home.create(replace=replace)
        with Lock(home.home):
            home.prepare(fresh=True)
            home.write_meta(_meta(result.prepared, name or home.home.resolve().name))
            _write(home, result, name)
            home.finish()
    return pathlib.Path(folder)


def _interrupted(home: RunFolder) -> bool:
    """Is there an interrupted run of Python's in the folder?"""
    if not (home.path / META).is_file():
        _refuse_used(home, "choose another folder")
        return False
    command = Meta.read(home.path).command
    if command != COMMAND:
        raise RefusedError(
            f"{home.home}: was made by `flowsim {command}`, not by flowsim.simulate: choose another folder"
        )
    if home.finished():
        raise RefusedError(
            f"{home.home}: holds a run that has ended: flowsim.load reads it, and another run needs another folder"
        )
    return True


def _refuse_used(home: RunFolder, remedy: str) -> None:
    folder = home.home
    if folder.exists() and (not folder.is_dir() or home.used()):
        raise RefusedError(f"{folder}: is there already and holds something: {remedy}")


def _meta(prepared: Prepared, name: str) -> dict:
    problem = prepared.plan.lift.original
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "figures": _PAPER if problem.is_word_problem else ["loss"],
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "precision": np.dtype(_tree.dtype(problem.parameters)).name,
        "command": COMMAND,
        **described(prepared),
    }


def _write(home: RunFolder, result: Result, name: str | None) -> None:
    name = name or home.home.resolve().name
    home.write_trajectory(result.dataset.assign_attrs(name=name, status=result.status.kind))
    home.write_parameters(result.model)
    home.write_summary(summarized(result, name))
