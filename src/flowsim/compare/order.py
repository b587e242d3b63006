"""The order of an error in the step: a straight line through logarithms."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Order:
    """y ∝ η^order.

    **Fields:** `order`: least-squares slope of log y against log η; `standard_error`: of the slope, None for two
    points, through which every line passes.
    """

    order: float
    standard_error: float | None

    def __str__(self) -> str:
        return f"{self.order:.3f}" + ("" if self.standard_error is None else f" ± {self.standard_error:.2g}")


def fit_order(steps: Sequence[float] | np.ndarray, errors: Sequence[float] | np.ndarray) -> Order:
    """Fit the order of `errors` in `steps`.

    **Raises:** `ValueError` for fewer than two different steps, or anything that has no logarithm.
    """
    x, y = np.asarray(steps, float), np.asarray(errors, float)
    if len(set(x.tolist())) < 2 or len(x) != len(y):
        raise ValueError(f"an order needs errors at two different steps at least, got {len(y)} at {steps}.")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y)) and np.all(x > 0) and np.all(y > 0)):
        raise ValueError(f"an order needs steps and errors > 0 and finite, got {list(errors)} at {list(steps)}.")
    x, y = np.log(x) - np.mean(np.log(x)), np.log(y) - np.mean(np.log(y))
    spread = float(np.sum(x**2))
    slope = float(np.sum(x * y)) / spread
    if len(x) < 3:
        return Order(slope, None)
    return Order(slope, math.sqrt(float(np.sum((y - slope * x) ** 2)) / (len(x) - 2) / spread))
