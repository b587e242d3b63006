"""All members of a sweep in one dataset and one table, complete or not."""

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from .._files import write
from .._values import is_number, is_whole
from ..config.problems import printable
from .folder import Sweep, SweepError
from .grid import Dimension, Grid, grid
from .rows import Row, names, rows
from .series import Differ, append
from .state import DONE, States

DATASET, TABLE = "sweep.nc", "sweep.csv"
_ABSENT = "absent"  # a point of the grid that no member stands at
_ABOUT = {
    "relative_error": "estimated distance of the final parameters from the true flow's, over the distance travelled",
    "steps": "accepted steps",
    "vector_field_evaluations": "gradients; of an implicit solver its stages alone, without their solves",
}


def collect(sweep: Sweep, found: States, *, trajectories: bool = True) -> xarray.Dataset:
    """Write `sweep.csv` and `sweep.nc`; returns the dataset without its trajectories.

    **Raises:** `StoreError` if a file cannot be written; `SweepError` if the grid is too large for arrays.
    """
    where, table = grid(sweep), rows(sweep, found)
    write(sweep.path / TABLE, lambda path: _write_table(path, where, table))
    if not where.fits:
        raise SweepError(
            f"the {len(sweep.members)} members lie on a grid of {where.cells} points, which is too large for arrays: "
            f"use {sweep.path / TABLE}, or give sweeps of different axes folders of their own"
        )
    scalars = dataset(where, table)
    write(sweep.path / DATASET, lambda path: _write_dataset(path, scalars, sweep, where, found, trajectories))
    return scalars


def dataset(where: Grid, table: Sequence[Row]) -> xarray.Dataset:
    """Status and every number of every member on the grid of the axes."""
    dims = tuple(one.name for one in where.dimensions)
    places = [where.places[row.member] for row in table]

    def numbers(values: Sequence[float]) -> np.ndarray:
        out = np.full(where.shape, np.nan)
        for place, value in zip(places, values, strict=True):
            out[place] = value
        return out

    def texts(values: Sequence[str], empty: str) -> np.ndarray:
        out = np.full(where.shape, empty, dtype=object)
        for place, value in zip(places, values, strict=True):
            out[place] = printable(value)
        return out

    data: dict[str, Any] = {
        "status": (dims, texts([row.status for row in table], _ABSENT)),
        "member": (dims, texts([row.member for row in table], ""), {"long_name": "run folder in members/"}),
        "reason": (dims, texts([row.reason for row in table], "")),
    }
    for name in dict.fromkeys(["relative_error", *names(row.numbers for row in table)]):
        values = [row.numbers.get(name, np.nan) for row in table]
        data[name] = (dims, numbers(values), {"long_name": _ABOUT.get(name, name.replace("_", " "))})
    events = names(row.events for row in table)
    coords: dict[str, Any] = {name: c for one in where.dimensions for name, c in _coordinates(one)}
    if events:
        coords["event"] = events
        for name, column in (("event_time", "events"), ("event_uncertainty", "bounds")):
            stacked = [numbers([getattr(row, column).get(event, np.nan) for row in table]) for event in events]
            data[name] = (("event", *dims), np.stack(stacked))
    found = xarray.Dataset(data, coords=coords)
    found["relative_error"].attrs["units"] = "1"
    return found


def _coordinates(one: Dimension) -> list[tuple[str, Any]]:
    return [(key, ((one.name,), _array(one.column(key)))) for key in one.keys]


def _array(values: Sequence[Any]) -> np.ndarray:
    """Numbers as numbers, all else as text."""
    if all(is_whole(v) for v in values):
        return np.array(values, dtype=np.int64 if all(abs(v) < 2**63 for v in values) else float)
    if all(is_number(v) for v in values):
        return np.array(values, dtype=float)
    return np.array(["" if v is None else str(v) for v in values], dtype=object)


def _write_dataset(
    path: pathlib.Path, scalars: xarray.Dataset, sweep: Sweep, where: Grid, found: States, trajectories: bool
) -> None:
    done = [one.member.id for one in found.members if one.state == DONE]
    scalars.to_netcdf(path, engine="h5netcdf")
    if not trajectories or not done:
        return
    try:
        append(path, sweep, where, done)
    except Differ as differ:
        scalars.assign_attrs(trajectories=f"left out: {differ}").to_netcdf(path, engine="h5netcdf")


def _write_table(path: pathlib.Path, where: Grid, table: Sequence[Row]) -> None:
    keys = [key for one in where.dimensions for key in one.keys]
    numbers, events = names(row.numbers for row in table), names(row.events for row in table)
    head = ["member", *keys, "status", *(f"event_time.{name}" for name in events), *numbers, "reason"]
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for row in table:
            values: Mapping[str, Any] = where.values[row.member]
            times = (_cell(row.events.get(name)) for name in events)
            others = (_cell(row.numbers.get(name)) for name in numbers)
            axes = (values[key] for key in keys)
            writer.writerow([row.member, *axes, row.status, *times, *others, printable(row.reason)])


def _cell(value: float | None) -> Any:
    return "" if value is None or np.isnan(value) else repr(value)


__all__ = ["DATASET", "TABLE", "collect", "dataset"]
