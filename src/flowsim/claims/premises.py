"""What claims of several papers presuppose, and say in the same words."""

import itertools
from collections.abc import Sequence

import numpy as np

from .closed_form import all_of
from .evidence import Evidence
from .finding import Finding, NotReachedError


def converged(evidence: Evidence, below: float) -> float:
    """The gradient's norm at the end, which is at most `below`.

    **Raises:** `NotReachedError` for a run that ends before that.
    """
    left = float(evidence.value("gradient_norm").value)
    if left > below:
        raise NotReachedError(f"not yet at a minimum: the gradient's norm is {left:.1e} at the end")
    return left


def in_order(evidence: Evidence, event: str, sizes: Sequence[float] | np.ndarray) -> Finding:
    """Events `event_0`, `event_1`, … happen in the order of decreasing sizes; those of equal size in any order.

    **Arguments:** `event`: what their names begin with; `sizes`: one number for each.

    **Raises:** `NotReachedError` if all sizes are equal, or an event did not happen.
    """
    ranked = np.argsort(sizes, kind="stable")[::-1]
    levels = [[int(i) for i in ranked if sizes[i] == size] for size in np.unique(sizes)[::-1]]
    if len(levels) < 2:
        raise NotReachedError("all sizes are equal: there is no order")
    pairs = [pair for first, second in itertools.pairwise(levels) for pair in itertools.product(first, second)]
    return all_of(Finding.compare(evidence.time(f"{event}_{a}"), "<", evidence.time(f"{event}_{b}")) for a, b in pairs)


def resting_places(time: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Where a falling, positive curve rests between two drops: its fall in ln t is least there.

    A drop counts if the curve falls at least a twentieth as fast, in ln t, as at the steepest place.

    **Arguments:** `time`, `curve`: (times,).

    **Returns:** indices into both, increasing.
    """
    inner = time > 0
    fall = -np.gradient(np.log(curve[inner]), np.log(time[inner]))
    least = np.flatnonzero((fall[1:-1] < fall[:-2]) & (fall[1:-1] <= fall[2:])) + 1
    tall = 0.05 * np.max(fall)
    deep = [i for i in least if np.max(fall[:i]) > tall and np.max(fall[i:]) > tall]
    return np.flatnonzero(inner)[deep]
