"""Power laws in the axes of a sweep."""

import dataclasses

import numpy as np
import xarray

from ..claims.scaling import common_slope


@dataclasses.dataclass(frozen=True)
class Exponent:
    """y ∝ x^`exponent`, with a 95 % `interval` (Student's t) over `points` members.

    The fit has one slope, and an intercept for each setting of the other axes.
    """

    quantity: str
    axis: str
    exponent: float
    interval: tuple[float, float]
    points: int


def exponents(dataset: xarray.Dataset, quantity: str, values: xarray.DataArray) -> list[Exponent]:
    """The exponent of a quantity in every axis of three or more positive numbers, seeds excepted."""
    found = []
    for axis in map(str, values.dims):
        x = dataset[axis].values
        if axis == "seed" or x.dtype.kind not in "fi" or len(x) < 3 or np.any(x <= 0):
            continue
        fitted = _fit(quantity, axis, x, values)
        if fitted is not None:
            found.append(fitted)
    return found


def _fit(quantity: str, axis: str, x: np.ndarray, values: xarray.DataArray) -> Exponent | None:
    table = values.transpose(axis, ...).values.reshape(len(x), -1)
    rows, group = np.nonzero(np.isfinite(table) & (table > 0))
    counts = np.bincount(group, minlength=table.shape[1])
    keep = counts[group] >= 2
    rows, group = rows[keep], group[keep]
    if len(set(rows)) < 3:
        return None
    slope, half = common_slope(np.log(x[rows]), np.log(table[rows, group]), group)
    return Exponent(quantity, axis, slope, (slope - half, slope + half), len(rows)) if np.isfinite(half) else None
