"""Finding the sign changes inside a step on the device, for many steps at once.

The event's parts are sampled at 33 Chebyshev points of the step's dense output. Where their interpolants are resolved,
the sign changes of the smallest part are read off a grid and their places by bisection, as `scan` does on the host with
more care. What needs that care is not guessed at but called `hard`: parts that are not resolved, values that come close
to 0 without crossing it, an event that is exactly 0, more sign changes than there is room for.

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3 and 8.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.polynomial import chebyshev

from .exclude import nodes, vandermonde

POINTS = 33
ROOM = 4  # sign changes of one event in one step
_PER_INTERVAL = 8  # grid points between two Chebyshev points, in the mean
_HALVINGS = 45  # of an interval between grid points: below the rounding of its ends
_COEFFICIENTS = np.linalg.inv(vandermonde(nodes(POINTS), POINTS))
_GRID = np.linspace(0, 1, _PER_INTERVAL * (POINTS - 1) + 1)
_ON_GRID = vandermonde(_GRID, POINTS)
_BETWEEN = 1 / np.cos(np.pi / 16) - 1  # as in `scan`
_DERIVATIVE = np.pad(chebyshev.chebder(np.eye(POINTS)), ((0, 1), (0, 0)))
_K = np.arange(POINTS)


class Changes(NamedTuple):
    """The sign changes of one event in a step, in fractions of it; of `ROOM` places the first `count` are filled.

    **Fields:** `low`, `high`: before and after each; `guess`, `slope`: the polynomial's root, and its derivative there;
    `noise`: of the part that changes its sign; `direction`: ±1; `sign`: that the step ends with; `hard`: does the step
    need a closer look than this?
    """

    low: Float[Array, "room"]
    high: Float[Array, "room"]
    guess: Float[Array, "room"]
    slope: Float[Array, "room"]
    noise: Float[Array, "room"]
    direction: Int[Array, "room"]
    count: Int[Array, ""]
    sign: Int[Array, ""]
    hard: Bool[Array, ""]


def sign_changes(
    values: Float[Array, "points parts"], noise: Float[Array, "parts"], sign: Int[Array, ""], at_end: Bool[Array, ""]
) -> Changes:
    """Every sign change of the smallest part.

    **Arguments:** `values`: at `nodes(POINTS)`. `noise`: of each part, what the rounding of the state makes of it.
    `sign`: before the step. `at_end`: does the run end with this step?
    """
    dtype = values.dtype
    eps = jnp.finfo(dtype).eps
    coefficients = jnp.asarray(_COEFFICIENTS, dtype) @ values
    size = jnp.abs(coefficients)
    floor = noise + 8 * eps * jnp.max(jnp.abs(values), axis=0)
    resolved = jnp.all(jnp.max(size[-4:], axis=0) <= jnp.maximum(1e-9 * jnp.max(size, axis=0), floor))
    parts = jnp.asarray(_ON_GRID, dtype) @ coefficients
    parts = parts.at[0].set(values[0]).at[-1].set(values[-1])  # the ends are known exactly
    smallest = jnp.argmin(parts, axis=1)
    beyond = jnp.maximum(floor, 2 * jnp.sum(size[-4:], axis=0))[smallest]  # as in `scan`
    ends = (jnp.arange(len(_GRID)) == 0) | (jnp.arange(len(_GRID)) == len(_GRID) - 1)
    path, level = jnp.min(parts, axis=1), jnp.where(ends, floor[smallest], beyond)

    decided = jnp.abs(path) > level
    signs = jnp.sign(path).astype(jnp.int32)
    index = jnp.arange(len(_GRID))
    last = jax.lax.cummax(jnp.where(decided, index, -1))
    before = jnp.concatenate([jnp.full(1, -1), last[:-1]])
    old = jnp.where(before >= 0, signs[jnp.maximum(before, 0)], sign)
    change = decided & (signs != old)
    count = jnp.sum(change).astype(jnp.int32)
    (places,) = jnp.nonzero(change, size=ROOM, fill_value=0)
    grid = jnp.asarray(_GRID, dtype)
    low, high = grid[jnp.maximum(before[places], 0)], grid[places]
    direction = signs[places]
    guess = _roots(coefficients, low, high, direction)
    final = jnp.where(last[-1] >= 0, signs[jnp.maximum(last[-1], 0)], sign)
    arrives = at_end & (jnp.abs(path[-1]) <= jnp.max(floor))
    unclear = ~resolved | (sign == 0) | _dips(path, size) | arrives | (count > ROOM)
    hard = ~_keeps(size, parts, sign) & (unclear | ~jnp.all(jnp.isfinite(values)))
    slope, smallest = _slope(coefficients, guess)
    return Changes(low, high, guess, slope, noise[smallest], direction, count, final, hard)


def _basis(x: Float[Array, ""]) -> Float[Array, "points"]:
    """Chebyshev polynomials at a point of [0, 1]."""
    return jnp.cos(jnp.asarray(_K, x.dtype) * jnp.arccos(jnp.clip(2 * x - 1, -1, 1)))


def _roots(coefficients, low, high, direction):
    """Between the places with the old and the new sign; the place with the old one where the polynomial has neither."""

    def value(x):
        return jnp.min(jax.vmap(_basis)(x) @ coefficients, axis=1) * direction

    def halve(_, ends):
        a, b = ends
        middle = (a + b) / 2
        above = value(middle) > 0
        return jnp.where(above, a, middle), jnp.where(above, middle, b)

    brackets = (value(low) < 0) & (value(high) > 0)
    a, b = jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))
    return jnp.where(brackets, (a + b) / 2, low)


def _slope(coefficients, at):
    """Of the part that is smallest there, by the step's fraction; and which part that is."""
    basis = jax.vmap(_basis)(at)
    slopes = 2 * basis @ (jnp.asarray(_DERIVATIVE, at.dtype) @ coefficients)
    smallest = jnp.argmin(basis @ coefficients, axis=1)
    return jnp.take_along_axis(slopes, smallest[:, None], axis=1)[:, 0], smallest


def _keeps(size, path, sign):
    """Is a sign other than this one excluded? See `scan`."""
    margin = 2 * jnp.sum(size[-(POINTS // 4) - 2 :], axis=0) + _BETWEEN * jnp.sum(size[1:], axis=0)
    positive, negative = jnp.min(path - margin) > 0, jnp.max(jnp.min(path + margin, axis=1)) < 0
    return jnp.where(sign > 0, positive, jnp.where(sign < 0, negative, False))


def _dips(path, size):
    """Does the path turn so close to 0 that it may cross it between grid points?"""
    dtype, spacing = path.dtype, 2 * (_GRID[1] - _GRID[0])
    curvature = jnp.max(jnp.asarray(_K**2 * (_K**2 - 1) / 3, dtype) @ size)
    reach = jnp.full(path.shape, spacing**2 / 2 * curvature, dtype)
    if size.shape[1] > 1:  # a smallest part has kinks, which point upwards
        reach = jnp.where(path < 0, reach + spacing * jnp.max(jnp.asarray(_K**2, dtype) @ size), reach)
    far = jnp.abs(path)
    middle, left, right = far[1:-1], far[:-2], far[2:]
    turns = (middle <= left) & (middle <= right) & ((middle < left) | (middle < right))
    side = jnp.sign(path[:-2])
    return jnp.any(turns & (side != 0) & (side == jnp.sign(path[2:])) & (middle <= reach[1:-1]))
