"""Trajectories of all members into `sweep.nc`, one member after the other, so that memory does not grow with them."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5netcdf
import h5py
import numpy as np

from .._files import RefusedError
from .folder import Sweep
from .grid import Grid
from .state import AGAIN

_TIME = "time"


class Differ(Exception):
    """The members do not share their times."""


def append(path: pathlib.Path, sweep: Sweep, where: Grid, done: Sequence[str]) -> None:
    """Add `NAME(time, …, axes)` of every numeric variable over time that all members have.

    A member is one chunk of each variable: what no member fills takes no space.

    **Raises:** `Differ` with the members whose times are not the same; the file is to be written again then.
    """
    axes = tuple(one.name for one in where.dimensions)
    first = _read(sweep.folder(done[0]))
    with h5netcdf.File(path, "a") as out:
        called = _declare(out, first, axes, where.shape)
    with h5py.File(path, "r+") as out:  # without h5netcdf's look-ups, which take most of the time
        targets = {name: (out[there], first[name][1].shape) for name, there in called.items()}
        for name in done:
            _fill(targets, first[_TIME][1], sweep.folder(name), where.places[name])


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
    targets: dict[str, tuple[Any, tuple[int, ...]]], times: np.ndarray, folder: pathlib.Path, place: tuple[int, ...]
) -> None:
    """One member. A variable that it has not, or in another shape, is left empty there."""
    with _opened(folder) as mine:
        if not np.array_equal(mine[_TIME][()], times):
            raise Differ(f"member {folder.name} is saved at other times")
        for name, (target, shape) in targets.items():
            if name in mine and mine[name].shape == shape:
                target[(..., *place)] = mine[name][()]


@contextlib.contextmanager
def _opened(folder: pathlib.Path) -> Iterator[h5py.File]:
    """**Raises:** `RefusedError` that names the member, where the sweep's own file would be blamed."""
    path = folder / "trajectory.nc"
    try:
        file = h5py.File(path)
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read ({error}); {AGAIN}") from None
    with file:
        yield file


def _read(folder: pathlib.Path) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, Any]]]:
    """Dimensions, values and attributes of every variable; h5py alone, a tenth of xarray's time for so small a file."""
    found = {}
    with _opened(folder) as file:
        for name, variable in file.items():
            dims = _dims(variable)
            if dims is not None:
                kept = {k: v for k, v in variable.attrs.items() if k in ("long_name", "units")}
                found[name] = dims, variable[()], kept
    return found


def _dims(variable: Any) -> tuple[str, ...] | None:
    """The names of the dimensions; None for a dimension without coordinates."""
    if "DIMENSION_LIST" in variable.attrs:
        return tuple(variable.file[reference[0]].name.lstrip("/") for reference in variable.attrs["DIMENSION_LIST"])
    if variable.attrs.get("NAME", b"").startswith(b"This is a netCDF dimension but not"):
        return None
    return (variable.name.lstrip("/"),) * variable.ndim
