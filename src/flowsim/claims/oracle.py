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

    Every time ends a step, because interpolation between steps is less exact than the steps.

    **Arguments:** `rate`: by hand and of NumPy, entry by entry; `start`: (entries,); `times`: increasing, ≥ 0.

    **Returns:** (times, entries).
    """
    state, rows = np.asarray(start, np.float64), []
    for begin, end in pairwise([0.0, *times]):
        if end > begin:
            run = solve_ivp(lambda _, x: np.asarray(rate(x)), (begin, end), state, "DOP853", rtol=2.3e-14, atol=1e-15)
            state = run.y[:, -1]
        rows.append(state)
    return np.stack(rows)
