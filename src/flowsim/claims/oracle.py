"""Closed forms that are one scalar equation for each number: integrated apart from the run, by SciPy."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp


def scalar_flow(
    rate: Callable[[np.ndarray], Any], start: Sequence[float] | np.ndarray, times: np.ndarray
) -> np.ndarray:
    """x(t) of x' = rate(x), x(0) = start, at the given times: an oracle for `agrees`.

    Every time ends a step, because interpolation between steps is less exact than the steps; and no step is longer than
    the fastest entry's own time, since where stability sizes the steps their error is not what the tolerance says.

    **Arguments:** `rate`: by hand and of NumPy, entry by entry; `start`: (entries,); `times`: increasing, ≥ 0.

    **Returns:** (times, entries).
    """
    state, rows = np.asarray(start, np.float64), []
    for begin, end in pairwise([0.0, *times]):
        if end > begin:
            run = solve_ivp(
                lambda _, x: np.asarray(rate(x)), (begin, end), state, "DOP853", rtol=2.3e-14, atol=1e-15,
                max_step=_own_time(rate, state),
            )  # fmt: skip
            state = run.y[:, -1]
        rows.append(state)
    return np.stack(rows)


def _own_time(rate: Callable[[np.ndarray], Any], x: np.ndarray) -> float:
    """1 / max |d rate/dx| over the entries, by central differences; infinite for rates that are constant."""
    h = 1e-6 * np.maximum(np.abs(x), np.finfo(float).tiny)
    slopes = np.abs(np.asarray(rate(x + h)) - np.asarray(rate(x - h))) / (2 * h)
    slopes = slopes[np.isfinite(slopes) & (slopes > 0)]
    return float(1 / np.max(slopes)) if len(slopes) else np.inf
