"""DOP853: an eighth-order method that shares nothing with Diffrax's Dopri8, for independent evidence."""

from collections.abc import Callable
from typing import ClassVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from scipy.integrate import DOP853 as Coefficients  # the published coefficients, as SciPy exposes them

_STAGES = 16  # 12 of the method, the slope at the step's end, 3 for the dense output


def _tableau():
    a = np.zeros((_STAGES, _STAGES))
    a[:12, :12] = Coefficients.A
    a[12, :12] = Coefficients.B  # the step's end is itself a stage: its slope is the next step's first
    a[13:] = Coefficients.A_EXTRA
    return a, np.concatenate([Coefficients.C, [1.0], Coefficients.C_EXTRA])


_A, _C = _tableau()


class DenseOutput(diffrax.AbstractLocalInterpolation):
    """Seventh-order dense output.

    **Reference:** Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.6.
    """

    t0: Float[Array, ""]
    t1: Float[Array, ""]
    y0: PyTree
    terms: PyTree  # (7, ...) in every leaf

    def evaluate(self, t0, t1=None, left: bool = True):
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        x = (t0 - self.t0) / (self.t1 - self.t0)

        def leaf(y0, terms):
            total = jnp.zeros_like(y0)
            for i in range(7):  # nested products of x and 1-x, innermost first
                total = (total + terms[6 - i]) * (x if i % 2 == 0 else 1 - x)
            return y0 + total

        return jax.tree.map(leaf, self.y0, self.terms)


class Dop853(diffrax.AbstractAdaptiveSolver):
    """Dormand and Prince's 8(5,3) method with its seventh-order dense output.

    The local error estimate is e5²/√(e5² + e3²/100), entry by entry, of the embedded fifth- and third-order results;
    it behaves as an estimate of order eight.

    **Reference:** Hairer, Nørsett, Wanner (1993), section II.10; coefficients as in SciPy.
    """

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
        slopes = jax.tree.map(lambda k: jnp.zeros((_STAGES, *k.shape), k.dtype).at[0].set(k), first)

        def at_stage(i, slopes):
            row = jnp.asarray(_A)[i]
            return jax.tree.map(lambda y, k: y + h * _combine(row, k), y0, slopes)

        def stage(i, slopes):
            slope = terms.vf(t0 + jnp.asarray(_C, jnp.result_type(h))[i] * h, at_stage(i, slopes), args)
            return jax.tree.map(lambda k, s: k.at[i].set(s), slopes, slope)

        slopes = jax.lax.fori_loop(1, _STAGES, stage, slopes)
        y1 = at_stage(12, slopes)
        error = jax.tree.map(lambda k: h * _error(k), slopes)
        terms_ = jax.tree.map(lambda a, b, k: _dense(a, b, k, h), y0, y1, slopes)
        last = jax.tree.map(lambda k: k[12], slopes)
        return y1, error, {"y0": y0, "terms": terms_}, last, diffrax.RESULTS.successful


def _combine(coefficients, slopes):
    return jnp.tensordot(jnp.asarray(coefficients, slopes.dtype)[: slopes.shape[0]], slopes, axes=1)


def _error(slopes):
    fifth, third = _combine(Coefficients.E5, slopes[:13]), _combine(Coefficients.E3, slopes[:13])
    size = jnp.sqrt(fifth**2 + 0.01 * third**2)
    return jnp.where(size > 0, fifth * jnp.abs(fifth) / jnp.where(size > 0, size, 1), 0)


def _dense(y0, y1, slopes, h):
    change, k0, k1 = y1 - y0, slopes[0], slopes[12]
    known = jnp.stack([change, h * k0 - change, 2 * change - h * (k1 + k0)])
    rest = h * jnp.tensordot(jnp.asarray(Coefficients.D, slopes.dtype), slopes, axes=1)
    return jnp.concatenate([known, rest])
