"""Lines against time, with a band: an error band, or the spread over an ensemble's seeds."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes

from . import style

_DECADES = 1.5  # a log axis pays from here on
_VISIBLE = 0.004  # of the axis: about one printed dot; a thinner band only makes the line look blurred
_FAINT = 0.35  # of a seed's line
_SEED_QUANTILES = (0.1, 0.5, 0.9)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line and the band around it, of no width where there is none; all of shape (time,).

    **Fields:** `members`: (seed, time) of an ensemble.
    """

    time: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    members: np.ndarray | None = None

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> "Curve":
        """The curve with its line and its edges changed."""
        members = None if self.members is None else change(self.members)
        return Curve(self.time, change(self.middle), change(self.low), change(self.high), members)


def to_curve(values: xarray.DataArray, error: xarray.DataArray | None = None) -> Curve:
    """The curve of an array (time,), or of (time, seed): then the median and the 10 to 90 % band over the seeds."""
    time = values["time"].values
    if "seed" in values.dims:
        spread = values.quantile(_SEED_QUANTILES, dim="seed").transpose("quantile", "time").values
        return Curve(time, spread[1], spread[0], spread[2], values.transpose("seed", "time").values)
    middle = values.values
    if error is None:
        return Curve(time, middle, middle, middle)
    return Curve(time, middle, middle - error.values, middle + error.values)


def pick(dataset: xarray.Dataset, name: str, where: Mapping[str, Any] | None = None) -> Curve:
    """The curve of the variable `name` at one position, with the band of `<name>_error` where there is one."""
    where = dict(where or {})
    error = dataset[f"{name}_error"].sel(where) if f"{name}_error" in dataset else None
    return to_curve(dataset[name].sel(where), error)


def holding(name: str, overlays: Sequence[xarray.Dataset]) -> list[tuple[int, xarray.Dataset]]:
    """The runs of descent that have a variable, each with its number."""
    return [(index, run) for index, run in enumerate(overlays) if name in run]


def spans_decades(curves: Iterable[Curve]) -> bool:
    """Does what is drawn reach over so many decades that a log axis reads better?"""
    values = np.concatenate([curve.middle for curve in curves] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    return values.size > 1 and bool(np.log10(values.max()) - np.log10(values.min()) > _DECADES)


def draw_flow(
    axes: Axes, curve: Curve, look: style.Look, *, place: float = 0.0, width: float = 1.3, seeds: str = "band"
) -> None:
    """Draw the flow's curve, solid, with markers starting at `place` (0 to 1) so that those of two lines part.

    **Arguments:** `seeds`: an ensemble's as a `band`, or as thin `lines` behind the median.
    """
    x, (middle, low, high) = _shown(axes, curve)
    if seeds == "lines" and curve.members is not None:
        for member in curve.members:
            own, (values, _, _) = _shown(axes, Curve(curve.time, member, member, member))
            axes.plot(own, values, color=look.color, alpha=_FAINT, linewidth=0.5, zorder=1.8)
    elif _band_shows(axes, middle, low, high):
        axes.fill_between(x, low, high, color=look.color, alpha=0.25, linewidth=0, zorder=1.8)
    every = (0.05 + 0.16 * place, 0.16) if look.marker else None
    marker = look.marker or None
    axes.plot(x, middle, color=look.color, marker=marker, markevery=every, linewidth=width, markeredgewidth=0)


def draw_descent(axes: Axes, items: Iterable[tuple[Curve, style.Look, int]], *, darken: bool = True) -> None:
    """Draw what runs of descent give for the same quantities, (curve, look, number of the run): thin, dark and dashed.

    Call it after the flow's curves: those set the scale. Descent that diverges leaves the axes, which grow for it by
    no more than a third on either side.
    """
    forward, inverse = (np.log10, lambda y: 10.0**y) if axes.get_yscale() == "log" else (np.asarray, np.asarray)
    low, high = forward(axes.get_ylim())
    space = (high - low) / 3
    lowest, highest = low, high
    for curve, look, index in items:
        x, (middle, _, _) = _shown(axes, curve)
        y = np.clip(forward(middle), low - 10 * space, high + 10 * space)  # far outside, but no overflow
        if np.any(np.isfinite(y)):
            lowest, highest = min(lowest, np.nanmin(y)), max(highest, np.nanmax(y))
        color = style.darker(look.color) if darken else look.color
        axes.plot(x, inverse(y), color=color, linestyle=style.dash(index), linewidth=0.8, zorder=2.5)
    axes.set_ylim(*inverse(np.array([max(lowest, low - space), min(highest, high + space)])))


def _shown(axes: Axes, curve: Curve):
    """What the axes can show: on a log axis, positive times and values only.

    t = 0 is always saved and has no place on a log axis. Leaving it out loses nothing: the first positive time is
    early enough that nothing has moved, and a "symlog" axis would invent a linear stretch that bends every curve.
    """
    keep = curve.time > 0 if axes.get_xscale() == "log" else np.ones(curve.time.shape, bool)
    middle, low, high = (
        np.where(np.isfinite(values), values, np.nan)[keep] for values in (curve.middle, curve.low, curve.high)
    )
    if axes.get_yscale() == "log":
        middle = np.where(middle > 0, middle, np.nan)
        low, high = np.maximum(low, 1e-3 * middle), np.maximum(high, middle)
    return curve.time[keep], (middle, low, high)


def _band_shows(axes: Axes, middle, low, high) -> bool:
    if not np.any(np.isfinite(middle)):
        return False
    if axes.get_yscale() == "log":
        return bool(np.nanmax((high - low) / middle) > 0.02)
    return bool(np.nanmax(high - low) > _VISIBLE * max(np.nanmax(middle) - np.nanmin(middle), 1e-300))
