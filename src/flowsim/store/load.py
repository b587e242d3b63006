"""Reading a run folder, finished or not."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import PyTree
from safetensors import SafetensorError, safe_open

from .._files import RefusedError, refuse_irregular
from .._show import text
from ..init import from_named
from .meta import NAME as META
from .meta import Meta
from .netcdf import read_dataset
from .segments import Segments
from .summary import EventSummary, Summary


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder holds at this moment.

    **Fields:** `meta`; `summary`: None until the run has ended; `problems`: files that could not be read; `events`:
    name -> crossings, with `time` and `times`; `dataset`: the saved probes as an `xarray.Dataset`; `blank`: makes the
    model before it was trained, where that is known. Of a partial run `events` and `dataset` are what was written so
    far.
    """

    path: pathlib.Path
    meta: Meta
    summary: Summary | None
    problems: tuple[str, ...]
    events: dict[str, EventSummary]
    dataset: Any = dataclasses.field(repr=False)
    blank: Callable[[], PyTree] | None = dataclasses.field(default=None, repr=False)

    def __repr__(self) -> str:
        rows = [("status", "not ended" if self.summary is None else f"{self.summary.status} ({self.summary.message})")]
        rows += [(name, "never" if one.time is None else f"t = {one.time:.10g}") for name, one in self.events.items()]
        rows.append(("holds", "path, summary, dataset, events, parameters, model, meta"))
        return text(f"Run {self.path}", rows)

    @property
    def complete(self) -> bool:
        """Did the run reach its end?"""
        return self.summary is not None and self.summary.complete

    @cached_property
    def parameters(self) -> dict[str, np.ndarray]:
        """The final parameters by name, read when they are first asked for.

        **Raises:** `StoreError` if the run has not ended, or keeps none (an ensemble).
        """
        return dict(_tensors(self.path / "parameters.safetensors"))

    @cached_property
    def model(self) -> PyTree:
        """The trained model, built as the experiment says, with the final parameters in it.

        **Raises:** `StoreError` as `parameters` does, and for a run from Python, which says no model: see `filled`.
        """
        if self.blank is None:
            raise RefusedError(
                f"{self.path}: was made in Python, and does not say how its model is made: write run.filled(model) "
                "with a model of the same names and shapes"
            )
        return self.filled(self.blank())

    def filled(self, model: PyTree) -> PyTree:
        """A model, or any pytree, of the run's names and shapes with the final parameters in it.

        **Raises:** `ValueError` if a name or a shape is another.
        """
        return from_named(self.parameters, str(self.path / "parameters.safetensors"))(model, key=None)


def load(path: str | pathlib.Path) -> Run:
    """Read a run folder at any moment, also while it is being written.

    **Raises:** `StoreError` if the folder is not a run folder, or if its files are damaged.
    """
    path = pathlib.Path(path)
    if path.is_file():  # `runs/NAME/*` names the pages of a comparison beside the folders
        raise RefusedError(f"{path}: is not a run folder but a file; in a shell, runs/NAME/*/ names folders alone")
    if not (path / META).exists():
        why = f"it has no {META}" if path.exists() else "nothing is there"
        raise RefusedError(f"{path}: is not a run folder ({why})")
    meta, summary = Meta.read(path), Summary.read(path)
    if summary is not None:
        return Run(path, meta, summary, (), dict(summary.events), read_dataset(path / "trajectory.nc"))
    chunks, problems = Segments(path).readable()
    return Run(path, meta, None, tuple(problems), _crossings(chunks), _partial(chunks, meta, path))


def _tensors(path: pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
    refuse_irregular(path)
    try:
        with safe_open(path, framework="numpy") as file:
            yield from ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise RefusedError(f"{path}: cannot be read ({error}); it is damaged") from error


def _crossings(chunks) -> dict[str, EventSummary]:
    times: dict[str, list[float]] = {}
    for chunk in chunks:
        for crossing in chunk.crossings:
            times.setdefault(crossing.event, []).append(crossing.time)
    return {name: EventSummary(time=found[0], times=tuple(found)) for name, found in times.items()}


def _partial(chunks, meta: Meta, path: pathlib.Path):
    import xarray  # heavy, and not needed by those who only simulate

    if not chunks:
        return xarray.Dataset(coords={"time": np.zeros(0)})
    try:
        data = {
            name: (("time", *about.dims), np.concatenate([chunk.rows[name] for chunk in chunks]), about.attributes)
            for name, about in meta.variables.items()
        }
        time = np.concatenate([chunk.times for chunk in chunks])
        used = {dim for dims, *_ in data.values() for dim in dims}
        return xarray.Dataset(data, coords={"time": time, **{k: v for k, v in meta.coordinates.items() if k in used}})
    except (KeyError, ValueError) as error:
        raise RefusedError(f"{path / META}: does not fit the segments ({error}); it was edited or damaged") from None
