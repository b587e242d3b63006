"""The fourth-order stabilized method: as `stabilized`, for tighter tolerances."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from .rock4_design import TABLE
from .stabilized import AbstractStabilized, end_of_step, hermite, start_of_step


@functools.cache
def table() -> dict[str, np.ndarray]:
    """The coefficients that `_rock4_design` made, by number of stages."""
    with np.load(TABLE, allow_pickle=False) as stored:
        return dict(stored)


class Stabilized4(AbstractStabilized):
    """A fourth-order orthogonal Runge-Kutta-Chebyshev method (ROCK4), with as many stages as each step needs.

        R_s(z) = w(z) P_{s-4}(z) = e^z + O(z⁵),   |R_s(z)| ≤ 1 for -0.34 s² ≤ z ≤ 0,

    and at most 0.8 where it ripples. A three-term recurrence of s - 4 stages, then four classical ones. Embedded
    third-order error estimate; cubic Hermite dense output, whose error is of the method's global order. Spectral
    radius, memory and the refusal of steps beyond reach (at the cost of five evaluations) are those of `Stabilized`.

    **Arguments:** as of `Stabilized`; `max_stages` is at most 250.

    **Reference:** Abdulle (2002), SIAM J. Sci. Comput. 23, 2041-2054; see `_rock4_design` for the coefficients.
    """

    def order(self, terms):
        return 4

    def error_order(self, terms):
        return 4  # of the estimate: the embedded result is of order three

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = terms.contr(t0, t1)
        memory, cost = start_of_step(self.renew_after, terms, t0, y0, args, solver_state, made_jump)
        reach = jnp.abs(h) * memory.spectrum.radius * self.safety
        index, within = row_for(reach, self.max_stages)

        def field(c, y):
            return terms.vf(t0 + c * (t1 - t0), y, args)

        y1, estimate = rock_step(field, h, y0, memory.slope, index, within)
        slope = terms.vf(t1, y1, args)
        stages = jnp.where(within, jnp.asarray(table()["stages"], jnp.int32)[index], 0)
        after = end_of_step(memory, slope, stages, cost + jnp.maximum(stages, 5))  # a first stage costs nothing
        return y1, estimate, hermite(h, y0, y1, memory.slope, slope), after, diffrax.RESULTS.successful


def row_for(reach: Float[Array, ""], max_stages: int) -> tuple[Int[Array, ""], Array]:
    """The table's row with fewest stages whose stability interval reaches so far; is there one?"""
    known = table()["interval"][table()["stages"] <= max_stages]
    within = reach <= known[-1]  # False also where it is not a number
    return jnp.searchsorted(jnp.asarray(known, reach.dtype), jnp.where(within, reach, 0.0)), within


def rock_step(field, h, y0: PyTree, slope: PyTree, index: Int[Array, ""], within: Array) -> tuple[PyTree, PyTree]:
    """(y1, its error estimate) of one step; (y0, infinite) if not `within`."""
    rows, finish, error = (jnp.asarray(table()[name], h.dtype) for name in ("recurrence", "finish", "error"))
    first = jnp.asarray(table()["offset"], jnp.int32)[index]
    count = jnp.where(within, jnp.asarray(table()["stages"], jnp.int32)[index] - 4, 1)

    def stage(k, loop):
        y, before, c, c_before, _ = loop
        mu, nu = rows[first + k]
        image = field(c, y)
        new = jax.tree.map(lambda k, y, z: h * mu * k + nu * y + (1 - nu) * z, image, y, before)
        return new, y, mu + nu * c + (1 - nu) * c_before, c, image

    c = rows[first, 0]
    start = _tree.add(y0, _tree.scale(h * c, slope))
    y, _, c, _, k0 = jax.lax.fori_loop(1, count, stage, (start, y0, c, jnp.zeros_like(c), slope))
    a, b = finish[index, :6], finish[index, 6:]
    k1 = field(c, y)
    k2 = field(c + a[0], _combine(y, h, a[:1], k1))
    k3 = field(c + a[1] + a[2], _combine(y, h, a[1:3], k1, k2))
    k4 = field(c + a[3] + a[4] + a[5], _combine(y, h, a[3:], k1, k2, k3))
    y1 = _combine(y, h, b, k1, k2, k3, k4)
    estimate = _combine(jax.tree.map(jnp.zeros_like, y), h, error[index], k0, k1, k2, k3, k4)

    def choose(new, otherwise):
        return jax.tree.map(lambda x, y: jnp.where(within, x, y), new, otherwise)

    return choose(y1, y0), choose(estimate, jax.tree.map(lambda x: jnp.full_like(x, jnp.inf), estimate))


def _combine(y: PyTree, h, weights, *slopes: PyTree) -> PyTree:
    """y + h Σ weight · slope."""
    return jax.tree.map(lambda y, *ks: y + h * sum(w * k for w, k in zip(weights, ks, strict=False)), y, *slopes)
