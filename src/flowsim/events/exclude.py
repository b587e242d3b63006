"""Excluding a sign change inside one step, on the device, from few points.

A step's event parts are sampled at Chebyshev points of the solver's dense output. Each part is smooth there, so its
polynomial interpolant converges geometrically, and its last coefficients tell what the interpolant leaves out. Three
points, and a fourth that tests them, exclude a sign change in most steps, where a part is far from 0 beside its change.
Else five points and that one decide whether it can be *excluded*; only where it cannot, the host looks closer (`scan`).

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3 and 8.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.polynomial import chebyshev

_COARSE = 5
_TEST = 0.6180339887498949  # far from all five points, and from their mirror images


def nodes(count: int) -> np.ndarray:
    """Chebyshev points on [0, 1], ends included."""
    return (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2


COARSE_POINTS = np.append(nodes(_COARSE), _TEST)
"""Where `may_cross` wants the parts: five Chebyshev points, then the point that tests their interpolant."""
FEW_POINTS = (0, 2, 4, 5)
"""Which of them `is_far` wants: three Chebyshev points, then the one that tests them."""


def vandermonde(points, count: int) -> np.ndarray:
    """Chebyshev polynomials of degree < `count` at points of [0, 1]."""
    return chebyshev.chebvander(2 * np.asarray(points) - 1, count - 1)


_COEFFICIENTS = np.linalg.inv(vandermonde(nodes(_COARSE), _COARSE))
_OF_FEW = np.linalg.inv(vandermonde(nodes(3), 3))
_FEW_AT_TEST = vandermonde([_TEST], 3)[0]
_SPACING = 1 / 32
_GRID = vandermonde(np.arange(0, 1 + _SPACING / 2, _SPACING), _COARSE)
_AT_TEST = vandermonde([_TEST], _COARSE)[0]
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
    coefficients = jnp.asarray(_COEFFICIENTS, dtype) @ values[:-1]
    size = jnp.abs(coefficients)
    defect = jnp.abs(jnp.asarray(_AT_TEST, dtype) @ coefficients - values[-1])
    remainder = jnp.maximum(size[4] + size[3] / 8, 4 * defect)
    between = (2 * _SPACING) ** 2 / 8 * (jnp.asarray(_CURVATURE, dtype) @ size)
    path = jnp.asarray(_GRID, dtype) @ coefficients
    margin = remainder + between
    stays_positive = jnp.min(path - margin) > 0
    stays_negative = jnp.max(jnp.min(path + margin, axis=1)) < 0
    clear = jnp.where(sign > 0, stays_positive, jnp.where(sign < 0, stays_negative, False))
    # A value that is not finite excludes nothing; where none is finite there is no sign either.
    return ~clear & jnp.any(jnp.all(jnp.isfinite(values), axis=1))


def is_far(values: Float[Array, "points parts"], sign: Int[Array, ""]) -> Bool[Array, ""]:
    """Is the event so far from 0, beside its change in the step, that four values exclude another sign than `sign`?

    The interpolant of degree 2 through the first three is at least |c0| - |c1| - |c2|. What it leaves out is taken as
    four times what `may_cross` would take, or 32 times the defect at the last one, whichever is larger.

    **Arguments:** `values`: at `FEW_POINTS` of `COARSE_POINTS`.
    """
    coefficients = jnp.asarray(_OF_FEW, values.dtype) @ values[:-1]
    defect = jnp.abs(jnp.asarray(_FEW_AT_TEST, values.dtype) @ coefficients - values[-1])
    size = jnp.abs(coefficients)
    away = size[0] - size[1] - size[2] - jnp.maximum(4 * size[2] + size[1] / 2, 32 * defect)
    stays_positive = jnp.all((coefficients[0] > 0) & (away > 0))
    stays_negative = jnp.any((coefficients[0] < 0) & (away > 0))
    return jnp.where(sign > 0, stays_positive, jnp.where(sign < 0, stays_negative, False))


_CERTAIN = 8.0  # how far a value has to be beyond what is known of it, for its sign to count


def undecided(values: Float[Array, "points parts"], shaken: Float[Array, "parts"]) -> Bool[Array, ""]:
    """Does the event stay, for a whole step, within what the solver's own error and rounding leave uncertain?

    Then the signs that it takes there mean nothing: an event that has converged to 0 would otherwise cross it for ever.

    **Arguments:** `values`: at `COARSE_POINTS`. `shaken`: at the step's end by the solver's embedded solution, with
    every number off by a few roundings.
    """
    end = values[-2]  # the last Chebyshev point
    smallest = jnp.argmin(end)
    band = _CERTAIN * (jnp.abs(end - shaken) + jnp.finfo(values.dtype).eps * jnp.abs(end))[smallest]
    return jnp.all(jnp.abs(jnp.min(values, axis=1)) <= band)
