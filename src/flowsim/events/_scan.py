"""Finding every sign change inside one step.

A step's event parts are sampled at Chebyshev points of the solver's dense output. Each part is smooth there, so its
polynomial interpolant converges geometrically and its last coefficients bound what the interpolant leaves out. On the
device five points decide whether a sign change can be *excluded*; only where it cannot does the host look closer, with
`FINE` points (see `crossings`). A root found here only brackets: its time is solved for on the flow itself.

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3, 8 and 18.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.polynomial import chebyshev
from scipy.optimize import minimize_scalar

COARSE = 5
FINE = 65
GRID = 2049  # points at which the fine interpolant is evaluated


def nodes(count: int) -> np.ndarray:
    """Chebyshev points on [0, 1], ends included."""
    return (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2


def _to_coefficients(count):
    """Matrix from values at `nodes(count)` to Chebyshev coefficients."""
    return np.linalg.inv(chebyshev.chebvander(2 * nodes(count) - 1, count - 1))


_COARSE_COEFFICIENTS = _to_coefficients(COARSE)
_COARSE_GRID = chebyshev.chebvander(np.linspace(-1, 1, 33), COARSE - 1)
_FINE_COEFFICIENTS = _to_coefficients(FINE)


def may_cross(values: Float[Array, "nodes parts"], sign: Int[Array, ""]) -> Bool[Array, ""]:
    """Could the smallest part differ from `sign` anywhere in a step? False is certain, True asks for a closer look.

    The bound on what the degree-4 interpolant leaves out is |c4| + |c3|/8: with coefficients that fall by a factor ρ
    each, the remainder is at most |c4| ρ/(1-ρ) ≤ |c4| for ρ ≤ 1/2; the second term covers parts whose even
    coefficients vanish by symmetry.

    **Arguments:** `values`: at `nodes(COARSE)`. `sign`: sign of the event before the step, 0 if it has none yet.
    """
    coefficients = jnp.asarray(_COARSE_COEFFICIENTS, values.dtype) @ values
    remainder = jnp.abs(coefficients[4]) + jnp.abs(coefficients[3]) / 8
    path = jnp.asarray(_COARSE_GRID, values.dtype) @ coefficients
    stays_positive = jnp.min(path - remainder) > 0
    stays_negative = jnp.max(jnp.min(path + remainder, axis=1)) < 0
    # A value that is not finite excludes nothing, and no sign can be told: the step's own failure is reported instead.
    clear = jnp.where(sign > 0, stays_positive, jnp.where(sign < 0, stays_negative, False))
    return ~clear & jnp.all(jnp.isfinite(values))


def crossings(values: np.ndarray, sign: int) -> tuple[list[tuple[float, float, int]], bool]:
    """Every sign change of min(parts) on the fine interpolant of one step.

    **Arguments:** `values`: (FINE, parts) at `nodes(FINE)`. `sign`: sign before the step; 0 if the event has been
    exactly 0 since the start.

    **Returns:** brackets `(low, high, direction)` in [0, 1] with direction ±1, in order of time; and whether the
    interpolant resolved every part (its last coefficients are below 1e-6 of its size).
    """
    coefficients = _FINE_COEFFICIENTS @ values
    size = np.max(np.abs(coefficients), axis=0)
    resolved = bool(np.all(np.max(np.abs(coefficients[-4:]), axis=0) <= 1e-6 * size + np.finfo(float).tiny))

    def value(x):
        return np.min(chebyshev.chebval(2 * np.asarray(x) - 1, coefficients), axis=0)

    grid = np.linspace(0, 1, GRID)
    path = value(grid)
    path[0], path[-1] = values[0].min(), values[-1].min()  # the ends are known exactly
    grid, path = _with_extrema(grid, path, value)
    return _brackets(grid, path, sign), resolved


def _with_extrema(grid, path, value):
    """Add the turning points that head for 0: two crossings may hide between neighbouring grid points."""
    size = np.abs(path)
    inner = (size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:]) & (path[1:-1] != 0)
    extra = []
    for i in np.flatnonzero(inner) + 1:
        s = np.sign(path[i])
        best = minimize_scalar(lambda x, s=s: s * value(x), bounds=(grid[i - 1], grid[i + 1]), method="bounded")
        if best.fun < 0:
            extra.append((best.x, s * best.fun))
    if not extra:
        return grid, path
    x, y = map(np.array, zip(*extra, strict=True))
    order = np.argsort(np.concatenate([grid, x]), kind="stable")
    return np.concatenate([grid, x])[order], np.concatenate([path, y])[order]


def _brackets(grid, path, sign):
    found = []
    last = 0.0  # where the event last had `sign`
    for x, y in zip(grid, path, strict=True):
        s = int(np.sign(y))
        if s == 0:
            continue
        if s != sign:
            # An event that was exactly 0 since the start leaves 0 at the start.
            found.append((0.0, 0.0, s) if sign == 0 else (last, float(x), s))
            sign = s
        last = float(x)
    return found
