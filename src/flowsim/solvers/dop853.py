"""DOP853: an eighth-order method that shares nothing with Diffrax's Dopri8, for independent evidence."""

import functools
from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from scipy.integrate import DOP853 as Coefficients  # the published coefficients, as SciPy exposes them

from .dense import AbstractDense

_STAGES = 16  # 12 of the method, the slope at the step's end, 3 for the dense output


def _tableau():
    a = np.zeros((_STAGES, _STAGES))
    a[:12, :12] = Coefficients.A
    a[12, :12] = Coefficients.B  # the step's end is itself a stage: its slope is the next step's first
    a[13:] = Coefficients.A_EXTRA
    return a, np.concatenate([Coefficients.C, [1.0], Coefficients.C_EXTRA])


_A, _C = _tableau()
_ERRORS = np.stack([Coefficients.E5, Coefficients.E3])


class DenseOutput(AbstractDense):
    """Seventh-order dense output.

    **Reference:** Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.6.
    """

    t0: Float[Array, ""]
    t1: Float[Array, ""]
    y0: PyTree
    terms: PyTree  # (7, ...) in every leaf

    def at(self, t):
        x = (t - self.t0) / (self.t1 - self.t0)
        weights = jnp.cumprod(jnp.stack([x, 1 - x, x, 1 - x, x, 1 - x, x]))  # x, x(1-x), x²(1-x), …
        return jax.tree.map(lambda y, terms: y + _product(weights, terms), self.y0, self.terms)


class Dop853(diffrax.AbstractAdaptiveSolver):
    """Dormand and Prince's 8(5,3) method with its seventh-order dense output.

    The local error estimate is e5²/√(e5² + e3²/100), entry by entry, of the embedded fifth- and third-order results;
    it behaves as an estimate of order eight.

    A step takes 12 evaluations, and its dense output 3 more. An owner that can tell when it needs one makes the solver
    with `finishes=False` and calls `finish` on those steps only.

    **Arguments:** `finishes`: does every step give its dense output?

    **Reference:** Hairer, Nørsett, Wanner (1993), section II.10; coefficients as in SciPy.
    """

    finishes: bool = eqx.field(static=True, default=True)

    evaluations: ClassVar[int] = 12  # of a step; its first slope is the last step's last
    finishing: ClassVar[int] = 3  # of its dense output
    states: ClassVar[int] = 48  # most of them for its dense output
    kept: ClassVar[tuple[str, ...]] = ("y0",)  # of a step without it, for it
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., DenseOutput]] = DenseOutput

    def order(self, terms):
        return 8

    def error_order(self, terms):
        return 8

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        return terms.vf(t0, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = t1 - t0
        first = jax.lax.cond(made_jump, lambda: terms.vf(t0, y0, args), lambda: solver_state)
        slopes = jax.tree.map(lambda k: jnp.zeros((13, *k.shape), k.dtype).at[0].set(k), first)
        y1, slopes = _stages(terms, t0, h, y0, args, slopes, 1, 13)  # the step's end is the last stage's state
        error = jax.tree.map(lambda k: h * _error(k), slopes)
        last = jax.tree.map(lambda k: k[12], slopes)
        dense = {"y0": y0, "y1": y1, "slopes": slopes}
        if self.finishes:
            dense = {"y0": y0, **self.finish(terms, t0, t1, args, dense)}
        return y1, error, dense, last, diffrax.RESULTS.successful

    def finish(self, terms, t0, t1, args, unfinished):
        """What the dense output of a step that was taken without it lacks."""
        h, y0, y1 = t1 - t0, unfinished["y0"], unfinished["y1"]
        slots = jax.tree.map(lambda k: jnp.pad(k, [(0, _STAGES - 13), *[(0, 0)] * (k.ndim - 1)]), unfinished["slopes"])
        _, slopes = _stages(terms, t0, h, y0, args, slots, 13, _STAGES)
        return {"terms": jax.tree.map(lambda a, b, k: _dense(a, b, k, h), y0, y1, slopes)}


def _stages(terms, t0, h, y0: PyTree, args, slopes: PyTree, start: int, stop: int) -> tuple[PyTree, PyTree]:
    """Stages `start` … `stop` - 1: the last one's state, and the slopes with theirs.

    One loop, so that the vector field is compiled once; in it a branch for each stage, that reads just the slopes it
    needs in one pass. A product with a whole row of coefficients would read all 16 of them for every stage, which for
    the paper's problem costs as much as the vector field.
    """
    times = jnp.asarray(_C, jnp.result_type(h))

    def state(j):
        return lambda slopes: jax.tree.map(lambda y, k: _stage_state(j, h, y, k), y0, slopes)

    def stage(i, loop):
        _, slopes = loop
        y = jax.lax.switch(i - start, [state(j) for j in range(start, stop)], slopes)
        slope = terms.vf(t0 + times[i] * h, y, args)
        return y, jax.tree.map(lambda k, s: k.at[i].set(s), slopes, slope)

    return jax.lax.fori_loop(start, stop, stage, (y0, slopes))


@functools.partial(jax.jit, static_argnums=0)
def _stage_state(j: int, h, y, slopes):
    """y + h Σ coefficient · slope over those that are not 0. Compiled by itself, it is traced once for all programs."""
    at = jax.lax.index_in_dim  # lighter to trace than slopes[j]
    return y + h * sum(float(c) * at(slopes, i, keepdims=False) for i, c in enumerate(_A[j]) if c != 0)


def _error(slopes):
    fifth, third = _product(_ERRORS, slopes)
    size = jnp.sqrt(fifth**2 + 0.01 * third**2)
    # What is not finite stays so: the step is refused then.
    return fifth * jnp.abs(fifth) / jnp.where(size == 0, 1, size)


def _dense(y0, y1, slopes, h):
    change, k0, k1 = y1 - y0, slopes[0], slopes[12]
    known = jnp.stack([change, h * k0 - change, 2 * change - h * (k1 + k0)])
    return jnp.concatenate([known, h * _product(Coefficients.D, slopes)])


def _product(rows, slopes):
    """Several combinations at once, each of them of all slopes: one operation to compile."""
    return jnp.tensordot(jnp.asarray(rows, slopes.dtype), slopes, 1)
