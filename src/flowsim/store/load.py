"""Reading a run folder, finished or not."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from .._files import StoreError
from .segments import Segments


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder holds at this moment.

    **Fields:** `summary`: None until the run has ended; `complete`; `problems`: files that could not be read; `events`:
    all crossings by event, in order of time; `dataset`: the saved probes as an `xarray.Dataset`. Of a partial run
    `events` and `dataset` are what was written so far.
    """

    path: pathlib.Path
    meta: dict[str, Any]
    summary: dict[str, Any] | None
    complete: bool
    problems: tuple[str, ...]
    events: dict[str, list[float]]
    dataset: Any


def load(path: str | pathlib.Path) -> Run:
    """Read a run folder at any moment, also while it is being written.

    **Raises:** `StoreError` if the folder is not a run folder, or if its trajectory is damaged.
    """
    path = pathlib.Path(path)
    if not (path / "meta.json").is_file():
        raise StoreError(f"{path}: is not a run folder (it has no meta.json)")
    meta, summary = _json(path / "meta.json"), _json(path / "summary.json")
    if summary is not None:
        events = {name: record["times"] for name, record in summary["events"].items()}
        dataset = _dataset(path / "trajectory.nc")
        return Run(path, meta or {}, summary, bool(summary["complete"]), (), events, dataset)
    chunks, problems = Segments(path).readable()
    return Run(path, meta or {}, None, False, tuple(problems), _crossings(chunks), _partial(chunks, meta or {}))


def _crossings(chunks) -> dict[str, list[float]]:
    events: dict[str, list[float]] = {}
    for chunk in chunks:
        for crossing in chunk.crossings:
            events.setdefault(crossing.event, []).append(crossing.time)
    return events


def _json(path: pathlib.Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); it is damaged") from error


def _dataset(path: pathlib.Path):
    import xarray  # heavy, and not needed by those who only simulate

    try:
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); it is damaged") from error


def _partial(chunks, meta):
    import xarray  # as above

    if not chunks:
        return xarray.Dataset(coords={"time": np.zeros(0)})
    variables, coordinates = meta["variables"], meta["coordinates"]
    data = {
        name: (("time", *about["dims"]), np.concatenate([chunk.rows[name] for chunk in chunks]), about["attributes"])
        for name, about in variables.items()
    }
    time = np.concatenate([chunk.times for chunk in chunks])
    used = {dim for dims, *_ in data.values() for dim in dims}
    return xarray.Dataset(data, coords={"time": time, **{k: v for k, v in coordinates.items() if k in used}})
