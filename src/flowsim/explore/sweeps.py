"""A collected sweep as the record that the page draws."""

import itertools
from typing import Any

import numpy as np
import xarray

from .collect import Budget, labels
from .pack import Numbers
from .thin import kept

_TEXTS = "OUST"  # kinds of NumPy's arrays of text
_FOLDERS = ("folder", "member")  # a variable of `sweep.nc` that says where the members are


def sweep_record(name: str, dataset: xarray.Dataset, where: str, numbers: Numbers, budget: Budget) -> dict[str, Any]:
    """Axes, the values over them, and the curves that share their times.

    **Arguments:** `dataset` as `sweep.nc`; `where`: the sweep's folder, as the page's links name it.

    **Raises:** `ValueError` if it holds no axis or no value.
    """
    axes = _axes(dataset)
    values = [
        {"name": label, "place": numbers.add(part.transpose(*axes).values.astype(float))}
        for label, part in _values(dataset, axes)
    ]
    if not axes or not values:
        raise ValueError("sweep.nc holds no axis or no value over the axes")
    curves = [
        str(key) for key, part in dataset.data_vars.items() if set(part.dims) == {"time", *axes} and _number(part)
    ]
    members = int(np.prod([dataset.sizes[axis] for axis in axes]))
    times = dataset["time"].values if curves else np.zeros(0)
    few = max(min(budget.times, budget.numbers // members), 2)
    chosen = kept(times[:, None], few) if times.size else np.zeros(0, int)
    return {
        "name": name,
        "axes": [{"name": axis, "labels": labels(dataset, axis)} for axis in axes],
        "values": values,
        "status": _texts(dataset, axes, "status"),
        "folders": _folders(dataset, axes, where),
        "times": numbers.add(times[chosen]),
        "curves": [
            {"name": key, "place": numbers.add(dataset[key].transpose("time", *axes).values[chosen].astype(float))}
            for key in curves
        ],
    }


def _axes(dataset: xarray.Dataset) -> list[str]:
    """The sweep's own dimensions: those of `status`, which every member has, else of the value with the most."""
    if "status" in dataset:
        return [str(dim) for dim in dataset["status"].dims]
    outer = [[str(d) for d in part.dims if d not in ("time", "event")] for part in dataset.data_vars.values()]
    return max(outer, key=len, default=[])


def _number(part: xarray.DataArray) -> bool:
    return part.dtype.kind in "fiub"


def _values(dataset: xarray.Dataset, axes: list[str]):
    """(label, array over the axes) of every number a member has; what has more axes gives a value for each label."""
    for name, part in dataset.data_vars.items():
        more = [str(dim) for dim in part.dims if dim not in axes]
        if not _number(part) or "time" in more or not set(axes) <= set(part.dims):
            continue
        places = itertools.product(*(range(part.sizes[dim]) for dim in more))
        named = {dim: labels(dataset, dim) for dim in more}
        for place in list(places)[:64]:
            said = ", ".join(named[dim][k] for dim, k in zip(more, place, strict=True))
            yield (f"{name}: {said}" if said else str(name)), part.isel(dict(zip(more, place, strict=True)))


def _texts(dataset: xarray.Dataset, axes: list[str], name: str) -> list[str] | None:
    if name not in dataset or dataset[name].dtype.kind not in _TEXTS or set(dataset[name].dims) != set(axes):
        return None
    return [str(value) for value in dataset[name].transpose(*axes).values.ravel()]


def _folders(dataset: xarray.Dataset, axes: list[str], where: str) -> list[str | None] | None:
    """Where each member is, relative to the page; None where the sweep does not say."""
    for name in _FOLDERS:
        found = _texts(dataset, axes, name)
        if found is not None:
            return [_link(where, text) if text else None for text in found]
    return None


def _link(where: str, member: str) -> str | None:
    """The link to a member's folder: below the sweep's own, and nothing that a browser takes for another address."""
    parts = member.split("/")
    if ".." in parts or member.startswith("/") or ":" in member or "\\" in member:
        return None
    folder = member if parts[0] == "members" else f"members/{member}"
    return f"{where}/{folder}"
