"""Trajectories of all members into `sweep.nc`, one member after the other, so that memory does not grow with them."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import h5netcdf
import h5py
import numpy as np

from .folder import Sweep
from .grid import Grid

_TIME = "time"


class Differ(Exception):
    """The members do not share their times."""


def append(path: pathlib.Path, sweep: Sweep, where: Grid, done: Sequence[str]) -> None:
    """Add `NAME(time, …, axes)` of every numeric variable over time that all members have.

    A member is one chunk of each variable: what no member fills takes no room.

    **Raises:** `Differ` with the members whose times are not the same; the file is to be written again then.
    """
    axes = tuple(one.name for one in where.dimensions)
    with h5netcdf.File(path, "a") as out:
        first = _read(sweep.folder(done[0]))
        known = _declare(out, first, axes, where.shape)
        for name in done:
            _fill(out, known, first, _read(sweep.folder(name)), where.places[name], name, done[0])


def _declare(out: Any, first: Mapping[str, Any], axes: Sequence[str], shape: Sequence[int]) -> dict[str, str]:
    """Make the variables; returns their names here by their names in a member."""
    taken = {*out.variables, *out.dimensions}
    known = {}
    for name, (dims, values, attributes) in first.items():
        if not dims or dims[0] != _TIME or set(dims) & set(axes) or values.dtype.kind not in "fiub":
            continue
        called = f"{name}_over_time" if name in taken else name
        for dim, size in zip(dims, values.shape, strict=True):
            if dim not in out.dimensions:
                out.dimensions[dim] = size
                if dim in first and first[dim][0] == (dim,):
                    out.create_variable(dim, (dim,), data=first[dim][1])
        if called in out.variables:  # time itself
            continue
        kind = np.dtype(float) if values.dtype.kind != "f" else values.dtype
        chunks = (*values.shape, *(1 for _ in axes))
        made = out.create_variable(
            called, (*dims, *axes), kind, fillvalue=kind.type(np.nan), chunks=chunks if values.size else None
        )
        for key, value in attributes.items():
            made.attrs[key] = value
        known[name] = called
    return known


def _fill(
    out: Any, known: dict[str, str], first: Any, mine: Any, place: tuple[int, ...], name: str, other: str
) -> None:
    if not np.array_equal(mine[_TIME][1], first[_TIME][1]):
        raise Differ(f"members {other} and {name} are saved at different times")
    for variable, called in list(known.items()):
        if variable not in mine or mine[variable][1].shape != first[variable][1].shape:
            del known[variable]  # of some members only: those before it stay
            continue
        out.variables[called][(..., *place)] = mine[variable][1]


def _read(folder: pathlib.Path) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]:
    """Dimensions, values and attributes of every variable; h5py alone, a tenth of xarray's time for so small a file."""
    found = {}
    with h5py.File(folder / "trajectory.nc") as file:
        for name, variable in file.items():
            dims = _dims(variable)
            if dims is not None:
                kept = {k: v for k, v in variable.attrs.items() if k in ("long_name", "units")}
                found[name] = dims, variable[()], kept
    return found


def _dims(variable: Any) -> tuple[str, ...] | None:
    """The names of the dimensions; None of what is not a variable: a dimension without coordinates."""
    if "DIMENSION_LIST" in variable.attrs:
        return tuple(variable.file[reference[0]].name.lstrip("/") for reference in variable.attrs["DIMENSION_LIST"])
    if variable.attrs.get("NAME", b"").startswith(b"This is a netCDF dimension but not"):
        return None
    return (variable.name.lstrip("/"),) * variable.ndim
