"""The run folder: what it holds, and how a finished run is written into it."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save as safetensors

from .. import _tree
from .._files import (
    RefusedError,
    StoreError,
    explain,
    is_temporary,
    make_folder,
    write_bytes,
    write_dataset,
    write_json,
    write_text,
)
from ..models import traits
from .lock import NAME as LOCK
from .lock import OWNER
from .meta import NAME as META
from .meta import Meta
from .replacement import Replacement, refuse_inputs
from .segments import SEGMENTS, Segments
from .summary import Summary

_GIVEN = f"{SEGMENTS}/experiment.yaml"  # as the run began, until it has ended


def _is_nothing(path: pathlib.Path) -> bool:
    if path.name == SEGMENTS and path.is_dir() and not path.is_symlink():
        return not any(path.iterdir())
    return path.name in (LOCK, OWNER) or is_temporary(path.name)


class RunFolder:
    """Paths and writers of one run folder.

    A run that replaces another is written into a folder inside, and takes its place when it is complete; `path` is
    where the files of this run are at the moment.
    """

    def __init__(self, home: pathlib.Path):
        self.home = home
        self._replacement = Replacement(home)
        self.path = self._replacement.current()
        self.segments = Segments(self.path)

    def coming(self, *, fresh: bool) -> pathlib.Path:
        """Where the files of a run will be that is begun, or gone on with, next."""
        return self._replacement.coming() if fresh else self._replacement.current()

    def used(self) -> bool:
        """Does it hold more than a run leaves that is ended before it has begun?"""
        return self.home.exists() and not all(map(_is_nothing, self.home.iterdir()))

    def create(self, *, replace: bool = False, inputs: Iterable[pathlib.Path] = ()) -> None:
        """Make the folder; one that holds something is not touched unless `replace`.

        **Arguments:** `inputs`: files that the experiment reads.

        **Raises:** `StoreError` if it holds something, if it cannot be made, or if an input lies where the run's files
        go.
        """
        try:
            if self.used() and not replace:
                raise RefusedError(
                    f"{self.home}: already exists and is not empty; choose another --out, resume it with --resume, or "
                    "replace it with --force"
                )
            refuse_inputs(self.home, inputs)
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedError(explain(self.home, error)) from error

    def prepare(self, *, fresh: bool) -> None:
        """Make the folder of the segments. What an earlier run left stays until a fresh one is complete.

        **Raises:** `StoreError` if that is not allowed.
        """
        try:
            self._replacement.tidy()
            self.path = self._replacement.begin() if fresh else self._replacement.current()
        except OSError as error:
            raise StoreError(explain(pathlib.Path(error.filename or self.home), error)) from error
        self.segments = Segments(self.path)
        self.segments.create()

    def finished(self) -> bool:
        """Has everything been written? Only the pieces of the run may still be there."""
        return (self.path / "summary.json").exists() and not self.segments.started()

    def write_inputs(self, experiment: str, resolved: str, meta: Mapping[str, Any]) -> None:
        """The experiment as given, with every default, and what it ran on."""
        write_text(self.path / _GIVEN, experiment)
        write_text(self.path / "experiment.yaml", experiment)
        self.write_resolved(resolved)
        self.write_meta(meta)

    def write_resolved(self, resolved: str) -> None:
        """The experiment with every default."""
        write_text(self.path / "resolved.yaml", resolved)

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        write_json(self.path / META, meta)

    def check_inputs(self) -> None:
        """`experiment.yaml` says what the run began with; one that was deleted is written again.

        **Raises:** `StoreError` if it was edited: the edits would have no effect, and the file would be untrue.
        """
        given, shown = self.path / _GIVEN, self.path / "experiment.yaml"
        if not given.is_file():
            return
        if not shown.exists():
            write_bytes(shown, given.read_bytes())
        elif shown.read_bytes() != given.read_bytes():
            raise RefusedError(
                f"{shown}: was edited after the run began, and a resumed run goes on as it began: undo the edit, or "
                "delete the file (--resume writes it again); figures may be changed in resolved.yaml"
            )

    def update_meta(self, changes: Mapping[str, Any]) -> None:
        """Changes to what `meta.json` says, of a run that is resumed."""
        write_json(self.path / META, {**Meta.read(self.path).record(), **changes})

    def write_trajectory(self, dataset: Any, name: str = "trajectory.nc") -> None:
        """A dataset as netCDF 4."""
        path = self.path / name
        if path.parent != self.path:
            make_folder(path.parent)
        write_dataset(path, dataset)

    def write_parameters(self, model: Any) -> None:
        """Final parameters by name, lifted back from any reduction."""
        write_bytes(self.path / "parameters.safetensors", safetensors(named_parameters(model)))

    def write_summary(self, summary: Summary) -> None:
        summary.write(self.path)

    def write_descents(self, datasets: Sequence[Any]) -> None:
        """**Arguments:** `datasets`: of each optimizer's run, with its distance to the flow where that was measured."""
        for index, dataset in enumerate(datasets):
            self.write_trajectory(dataset, f"descent/{index:02d}.nc")

    def finish(self) -> None:
        """The run is one set of whole files now: its pieces can go, and so can the run that it replaces."""
        try:
            self.segments.remove()
            self._replacement.end()
        except OSError as error:
            raise StoreError(explain(pathlib.Path(error.filename or self.home), error)) from error
        self.path = self._replacement.current()
        self.segments = Segments(self.path)


def named_parameters(model: Any) -> dict[str, np.ndarray]:
    """Every array of a model by its path: `W`, `W_V`, `W_K`, `W_Q`, `a` for the paper's."""
    leaves = zip(_tree.paths(model), jax.tree.leaves(model), strict=True)
    arrays = {name: np.require(_tree.to_host(leaf), requirements="C") for name, leaf in leaves if _tree.is_array(leaf)}
    return {name: array for name, array in arrays.items() if name not in traits(model).given}
