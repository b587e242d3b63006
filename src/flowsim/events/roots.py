"""Finding the sign changes inside a step on the device, for many steps at once.

The event's parts are sampled at 33 Chebyshev points of the step's dense output. Where their interpolants are resolved,
the sign changes of the smallest part are read off a grid and their places by chords, as `scan` does on the host with
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
_CHORDS = 12  # of an interval between grid points, where the path is all but straight: to rounding
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
    beyond = jnp.maximum(floor, 2 * jnp.sum(size[-4:], axis=0))  # as in `scan`
    index = jnp.arange(len(_GRID))
    ends = (index == 0) | (index == len(_GRID) - 1)
    path = jnp.min(parts, axis=1)
    levels = jnp.where(ends[:, None], floor, beyond)
    decided = jnp.abs(path) > jnp.max(jnp.where(parts == path[:, None], levels, 0), axis=1)  # that of the smallest part
    # Index and sign of the last decided point in one number: a sign is not looked up, which would take all indices.
    # By a scan: `lax.cummax` takes the square of the grid's points on a CPU.
    last = jax.lax.associative_scan(jnp.maximum, jnp.where(decided, 2 * index + (path > 0), -1))
    before = jnp.concatenate([jnp.full(1, -1), last[:-1]])
    old, signs = jnp.where(before >= 0, 2 * (before % 2) - 1, sign), jnp.where(path > 0, 1, -1)
    change = decided & (signs != old)
    count = jnp.sum(change).astype(jnp.int32)
    places = _first(change)
    grid = jnp.asarray(_GRID, dtype)
    low, high = grid[jnp.maximum(before[places] // 2, 0)], grid[places]
    direction = signs[places]
    guess = _roots(coefficients, low, high, direction)
    final = jnp.where(last[-1] >= 0, 2 * (last[-1] % 2) - 1, sign)
    arrives = at_end & (jnp.abs(path[-1]) <= jnp.max(floor))
    unclear = ~resolved | (sign == 0) | _dips(path, size) | arrives | (count > ROOM)
    hard = ~_keeps(size, parts, sign) & (unclear | ~jnp.all(jnp.isfinite(values)))
    slope, smallest = _slope(coefficients, guess)
    return Changes(low, high, guess, slope, noise[smallest], direction, count, final, hard)


def _first(change: Bool[Array, "grid"]) -> Int[Array, "room"]:
    """The first `ROOM` places where it is true, 0 where there are fewer."""
    number, index, found = change.shape[0], jnp.arange(change.shape[0]), [jnp.asarray(-1)]
    for _ in range(ROOM):
        found.append(jnp.min(jnp.where(change & (index > found[-1]), index, number)))
    places = jnp.stack(found[1:])
    return jnp.where(places < number, places, 0)


def _basis(x: Float[Array, ""]) -> Float[Array, "points"]:
    """Chebyshev polynomials at a point of [0, 1], by T_{n+k} = 2 T_n T_k - T_{n-k}."""
    found = jnp.stack([jnp.ones_like(x), jnp.clip(2 * x - 1, -1, 1)])
    while found.shape[0] < POINTS:
        found = jnp.concatenate([found, 2 * found[-1] * found[1:] - found[-2::-1]])
    return found[:POINTS]


def _roots(coefficients, low, high, direction):
    """Between the places with the old and the new sign; the place with the old one where the polynomial has neither."""

    def value(x):
        return jnp.min(jax.vmap(_basis)(x) @ coefficients, axis=1) * direction

    def cut(_, state):
        """The place where the chord crosses 0 is an end of the next bracket; an end that stays counts half."""
        a, b, at_a, at_b, _ = state
        place = jnp.clip(b - at_b * (b - a) / jnp.where(at_b == at_a, 1, at_b - at_a), a, b)
        here = value(place)
        above = here > 0
        at_a, at_b = jnp.where(above, at_a / 2, here), jnp.where(above, here, at_b / 2)
        return jnp.where(above, a, place), jnp.where(above, place, b), at_a, at_b, place

    at_low, at_high = value(low), value(high)
    *_, root = jax.lax.fori_loop(0, _CHORDS, cut, (low, high, at_low, at_high, low))
    return jnp.where((at_low < 0) & (at_high > 0), root, low)


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
