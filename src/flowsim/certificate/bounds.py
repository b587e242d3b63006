"""From the distance between two integrations to bounds on curves and on event times."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..records import Crossing

# The second integration has an error of its own, and errors of two runs may partly cancel. On 200 random problems
# (`benchmarks/certificates.py`) twice the distance between the two covered the true error in 95 % of the cases, and
# fell short of it by less than a factor 2 in the others.
SAFETY = 4.0
# A single number is more often close by accident than a whole state: on 100 random deep linear networks at two
# tolerances (`benchmarks/event_bounds.py`) four times the distance fell short in 2 % of the times, by up to 2.9.
SAFETY_OF_TIMES = 8.0
# Saved times over which the distance of two curves is taken at its largest: 5 of 200. Where more are saved, as large a
# share of them: two curves that cross are close over more of them.
_NEIGHBORS, _SHARE = 5, 40
DRIFT = "invariant_"  # how names of probes begin that are errors already


def crossing_bounds(
    here: Mapping[str, Sequence[Crossing]], there: Mapping[str, Sequence[Crossing]], *, steps: int, withheld: bool
) -> dict[str, tuple[float | None, ...]]:
    """Event name -> bound on the error of each of its times.

    The two runs' times of one crossing lie |Δt| apart, and the event's values there by the band |Δt| · |slope|. A band
    may be narrow by accident, so a crossing also answers for the bands of its neighbors: its bound is
    `SAFETY_OF_TIMES` times the widest of them over its own slope, but no more than half the way to its neighbor. What
    roundings of the state make of the value shows in no distance, as both runs make them: that, over the slope, comes
    on top.

    **Arguments:** `here`, `there`: the crossings of both runs, by event. `steps`: how many roundings there were.
    `withheld`: give None everywhere.
    """
    return {
        name: (None,) * len(crossings) if withheld else _times(crossings, there[name], math.sqrt(steps + 1.0))
        for name, crossings in here.items()
    }


def value_bounds(
    here: Mapping[str, Sequence[Crossing]], there: Mapping[str, Sequence[Crossing]]
) -> dict[str, tuple[dict[str, float], ...]]:
    """Event name -> for each of its crossings, name -> bound on the error of a number that was measured there.

    `SAFETY_OF_TIMES` times the distance of the two runs, each at its own time; infinite where the other saw none, or
    does not measure the number, as the Gram system does not measure all.
    """

    def bounds(one: Crossing, other: Crossing | None) -> dict[str, float]:
        numbers = {name: float(value) for name, value in one.values.items() if np.ndim(value) == 0}
        there = {} if other is None else other.values
        return {
            name: SAFETY_OF_TIMES * abs(x - float(there[name])) if name in there else np.inf
            for name, x in numbers.items()
        }

    return {name: tuple(map(bounds, crossings, _paired(crossings, there[name]))) for name, crossings in here.items()}


def _times(here: Sequence[Crossing], there: Sequence[Crossing], roundings: float) -> tuple[float | None, ...]:
    partners = _paired(here, there)
    apart = np.array([np.nan if p is None else abs(c.time - p.time) for c, p in zip(here, partners, strict=True)])
    slopes, times = np.array([abs(c.slope) for c in here]), np.array([c.time for c in here])
    gaps = np.diff(times, prepend=-np.inf, append=np.inf)
    bands = np.nan_to_num(apart * slopes)
    errors: list[float | None] = []
    for i, partner in enumerate(partners):
        if partner is None:
            errors.append(None)
            continue
        shared, noise = 0.0, 0.0
        if slopes[i] > 0:
            shared, noise = float(np.max(bands[max(i - 1, 0) : i + 2])) / slopes[i], here[i].noise / slopes[i]
        widened = min(SAFETY_OF_TIMES * shared, min(gaps[i], gaps[i + 1]) / 2)
        rounding = 8 * np.finfo(float).eps * max(times[i], partner.time) + roundings * noise
        errors.append(float(max(SAFETY_OF_TIMES * apart[i], widened) + rounding))
    return tuple(errors)


def _paired(here: Sequence[Crossing], there: Sequence[Crossing]) -> list[Crossing | None]:
    """To each crossing the one that the other run saw: in order, or where the numbers differ the mutually nearest."""
    if [c.direction for c in here] == [c.direction for c in there]:
        return list(there)

    def nearest(crossing: Crossing, others: Sequence[Crossing]) -> Crossing | None:
        alike = [other for other in others if other.direction == crossing.direction]
        return min(alike, key=lambda other: abs(other.time - crossing.time), default=None)

    found = [nearest(crossing, there) for crossing in here]
    return [p if p is not None and nearest(p, here) is c else None for c, p in zip(here, found, strict=True)]


def curve_bounds(
    here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray], floor: float | np.ndarray, *, withheld: bool
) -> Mapping[str, np.ndarray]:
    """Variable name -> bound on its error at every saved time, the largest number where there is none.

    **Arguments:** `here`, `there`: what both runs saved, time first; of many runs at once these are the second axis.
    `floor`: the rounding floor of each run, a part of each curve's size. `withheld`: give none.
    """
    if withheld:
        return {}
    compared = {name: values for name, values in here.items() if name in there and not name.startswith(DRIFT)}
    return {name: _band(values, there[name], floor) for name, values in compared.items()}


def _band(values: np.ndarray, other: np.ndarray, floor: float | np.ndarray) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.inexact):  # a truth or a count: wrong where it changes, if at all
        values, other = values.astype(float), other.astype(float)
    common, finite = min(len(values), len(other)), np.isfinite(values)
    apart = _apart(values[:common], other[:common])
    error = np.full(values.shape, np.inf, apart.dtype)
    # Two curves may cross, which says nothing of their errors: a time answers for its neighbors.
    error[:common] = SAFETY * maximum_filter1d(apart, size=max(_NEIGHBORS, common // _SHARE), axis=0, mode="nearest")
    scale = np.max(np.abs(values), axis=0, keepdims=True, where=finite, initial=0.0)
    units = np.maximum(floor, 8 * np.finfo(values.dtype).eps).astype(scale.dtype)
    error[:common] += units.reshape(units.shape + (1,) * (values.ndim - 1 - units.ndim)) * scale
    return np.where(finite & np.isfinite(error), error, np.finfo(values.dtype).max)


def _apart(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The distance of two curves: none where both are infinite alike or no numbers, infinite where only one is."""
    alike = (here == there) | (np.isnan(here) & np.isnan(there))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(here - there)
    return np.where(alike, 0.0, np.where(np.isfinite(apart), apart, np.inf)).astype(apart.dtype)
