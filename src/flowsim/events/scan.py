"""Finding every sign change inside one step.

A step's event parts are sampled at Chebyshev points of the solver's dense output. Each part is smooth there, so its
polynomial interpolant converges geometrically, and its last coefficients tell what the interpolant leaves out. On the
device five points, and a sixth that tests the interpolant, decide whether a sign change can be *excluded*; only where
it cannot does the host look closer, with `FINE` points and, until every part is resolved, on halves of the step (see
`crossings`). A root found here only brackets: its time is solved for on the flow itself.

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3, 8 and 18.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.polynomial import chebyshev
from scipy.optimize import minimize_scalar

FINE = 65
_COARSE = 5
_TEST = 0.6180339887498949  # far from all five points, and from their mirror images
_GRID = 2049  # points at which the fine interpolant is evaluated
_DEEPEST = 10  # halvings of a step that the search for resolution may take


def nodes(count: int) -> np.ndarray:
    """Chebyshev points on [0, 1], ends included."""
    return (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2


COARSE_POINTS = np.append(nodes(_COARSE), _TEST)
"""Where `may_cross` wants the parts: five Chebyshev points, then the point that tests their interpolant."""


def _vandermonde(points, count):
    return chebyshev.chebvander(2 * np.asarray(points) - 1, count - 1)


_COARSE_COEFFICIENTS = np.linalg.inv(_vandermonde(nodes(_COARSE), _COARSE))
_FINE_COEFFICIENTS = np.linalg.inv(_vandermonde(nodes(FINE), FINE))
_COARSE_SPACING = 1 / 128
_COARSE_GRID = _vandermonde(np.arange(0, 1 + _COARSE_SPACING / 2, _COARSE_SPACING), _COARSE)
_COARSE_TEST = _vandermonde([_TEST], _COARSE)[0]
# max |T_k''| on [-1, 1] is k²(k²-1)/3: a bound on the interpolant's curvature from its coefficients.
_CURVATURE = np.array([k**2 * (k**2 - 1) / 3 for k in range(_COARSE)])


def may_cross(values: Float[Array, "points parts"], sign: Int[Array, ""]) -> Bool[Array, ""]:
    """Could the smallest part differ from `sign` anywhere in a step? False excludes it, True asks for a closer look.

    Three things are allowed for. What the degree-4 interpolant leaves out is taken as |c4| + |c3|/8 (with coefficients
    that fall by a factor ρ each the remainder is |c4| ρ/(1-ρ) ≤ |c4| for ρ ≤ 1/2; the second term covers parts whose
    even coefficients vanish by symmetry), or four times the defect at the test point, whichever is larger. Between
    grid points the interpolant differs from its chord by at most spacing²/8 times its largest curvature.

    **Arguments:** `values`: at `COARSE_POINTS`. `sign`: sign of the event before the step, 0 if it has none yet.
    """
    dtype = values.dtype
    coefficients = jnp.asarray(_COARSE_COEFFICIENTS, dtype) @ values[:-1]
    size = jnp.abs(coefficients)
    defect = jnp.abs(jnp.asarray(_COARSE_TEST, dtype) @ coefficients - values[-1])
    remainder = jnp.maximum(size[4] + size[3] / 8, 4 * defect)
    between = (2 * _COARSE_SPACING) ** 2 / 8 * (jnp.asarray(_CURVATURE, dtype) @ size)
    path = jnp.asarray(_COARSE_GRID, dtype) @ coefficients
    margin = remainder + between
    stays_positive = jnp.min(path - margin) > 0
    stays_negative = jnp.max(jnp.min(path + margin, axis=1)) < 0
    clear = jnp.where(sign > 0, stays_positive, jnp.where(sign < 0, stays_negative, False))
    # A value that is not finite excludes nothing, and shows no sign: the step's own failure is reported instead.
    return ~clear & jnp.all(jnp.isfinite(values))


def pieces(sample, low: float = 0.0, high: float = 1.0, depth: int = 0) -> list[tuple[float, float, np.ndarray, bool]]:
    """Cut a step into pieces on each of which every part is resolved by `FINE` points.

    **Arguments:** `sample`: `(low, high) -> (FINE, parts)`, the parts at `nodes(FINE)` of that piece of the step.

    **Returns:** `(low, high, values, resolved)` of every piece, in order; not resolved only after `_DEEPEST` halvings.
    """
    values = sample(low, high)
    size = np.abs(_FINE_COEFFICIENTS @ values)
    scale = np.max(size, axis=0)
    # Rounding leaves about 1e-16 of the scale of what the part is computed from; 1e-9 of its own size is ample.
    resolved = bool(np.all(np.max(size[-4:], axis=0) <= 1e-9 * scale + np.finfo(float).tiny))
    if resolved or depth == _DEEPEST:
        return [(low, high, values, resolved)]
    middle = (low + high) / 2
    return pieces(sample, low, middle, depth + 1) + pieces(sample, middle, high, depth + 1)


def crossings(sample, sign: int) -> tuple[list[tuple[float, float, int]], bool]:
    """Every sign change of min(parts) in one step.

    **Arguments:** `sample`: see `pieces`. `sign`: sign before the step; 0 if the event has been exactly 0 since the
    start.

    **Returns:** brackets `(low, high, direction)` in [0, 1] with direction ±1, in order of time; and whether every
    part was resolved, so that none is missing.
    """
    found, all_resolved = [], True
    for low, high, values, resolved in pieces(sample):
        grid, path = _path(values)
        here, sign = _brackets(grid, path, sign)
        width = high - low
        found += [(low + a * width, low + b * width, direction) for a, b, direction in here]
        all_resolved &= resolved
    return found, all_resolved


def _path(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """min(parts) on a fine grid of [0, 1], with the turning points that head for 0 added."""
    coefficients = _FINE_COEFFICIENTS @ values

    def value(x):
        return np.min(chebyshev.chebval(2 * np.asarray(x) - 1, coefficients), axis=0)

    grid = np.linspace(0, 1, _GRID)
    path = value(grid)
    path[0], path[-1] = values[0].min(), values[-1].min()  # the ends are known exactly
    return _with_extrema(grid, path, value)


def _with_extrema(grid, path, value):
    """Add the turning points that head for 0: two crossings may hide between neighbouring grid points."""
    size = np.abs(path)
    inner = (size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:]) & (path[1:-1] != 0)
    extra = []
    for i in np.flatnonzero(inner) + 1:
        s = np.sign(path[i])
        best: Any = minimize_scalar(lambda x, s=s: s * value(x), bounds=(grid[i - 1], grid[i + 1]), method="bounded",
                               options={"xatol": 1e-12})  # fmt: skip
        if best.fun < 0:
            extra.append((best.x, s * best.fun))
    if not extra:
        return grid, path
    x, y = map(np.array, zip(*extra, strict=True))
    order = np.argsort(np.concatenate([grid, x]), kind="stable")
    return np.concatenate([grid, x])[order], np.concatenate([path, y])[order]


def _brackets(grid, path, sign):
    """Sign changes along a path, and the sign that it ends with."""
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
    return found, sign
