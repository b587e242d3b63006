"""A third-order exponential method: the linear part of the flow exactly, through Lanczos."""

import functools
import math
from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from .dense import AbstractDense
from .krylov import Krylov, krylov, phi

_SHARE = 0.03  # of the strictest array's tolerance, for what the Krylov spaces leave out
_NOISE = 8  # units of rounding of the state, below which no space gets
_BYTES = 2**24  # for one basis, which every step makes anew
_FASTEST = 10.0  # growth of the step that a controller may choose


class ExponentialMemory(eqx.Module):
    """What the method knows between steps.

    **Fields:** `slope`: f at the step's start; `sizes`: of the last step's two Krylov spaces; `evaluations`: of the
    last attempted step; `radius`: the largest eigenvalue in size that its Krylov spaces met, 0 before the first step.
    """

    slope: PyTree
    sizes: tuple[Int[Array, ""], Int[Array, ""]]
    evaluations: Int[Array, ""]
    radius: Float[Array, ""]


class DenseOutput(AbstractDense):
    """y(s) = y₀ + s φ₁(sJ) f(y₀) + 2 s³/h² φ₃(sJ) (bend of the step), at s after the step's start.

    The method's own formula at a shorter step, from the Krylov spaces that the step made: a polynomial in s could not
    follow what decays within a fraction of a step. Third order; it costs no evaluation.
    """

    t0: Float[Array, ""]
    t1: Float[Array, ""]
    y0: PyTree
    linear: Krylov
    curved: Krylov

    def at(self, t):
        start, unravel = ravel_pytree(self.y0)
        s = t - self.t0
        square = (s / (self.t1 - self.t0)) ** 2
        return unravel(start + _scaled(self.linear, s, 1)[0] + 2 * square * _scaled(self.curved, s, 3)[0])


def _scaled(space: Krylov, h, k: int) -> tuple[Float[Array, "entries"], Float[Array, "entries"]]:
    """h φ_k(hJ) b, and J times it."""
    space = space._replace(size=space.size.astype(jnp.int32))
    return space.apply(lambda z: h * phi(k, h * z), lambda z: h**2 * phi(k + 1, h * z))


class Exponential(diffrax.AbstractAdaptiveSolver):
    """exprb32, an exponential Rosenbrock method for flows whose Jacobian J is symmetric, as a gradient flow's is.

        u  = y + h φ₁(hJ) f(y)
        y₁ = u + 2h φ₃(hJ) (f(u) - f(y) - J (u - y))

    of third order, with u of second order as its embedded result. A linear flow is solved exactly by one step of any
    size, so only the curvature's change along the path sizes the steps, never stiffness.

    h φ(hJ) b comes from a Krylov space of b: a few products J v, as many as the spectrum asks for. A Chebyshev method
    has to cover the whole interval up to the largest eigenvalue; Lanczos finds a few outliers in as many products, and
    of a Hessian most of the stiffness often is a few outliers. J v can be
    a difference quotient of f along v, one evaluation instead of two; its error, some √ε ‖J‖, leaves an error of √ε
    times h ‖J‖ in a step, too much for a tight tolerance.

    The estimate of the error is never smaller than what makes the next step too long for `most` products: a step
    that needs more is refused. The field must not depend on time.

    **Arguments:**

    - `rtol`, `atol`: as of the controller; they decide when a Krylov space is large enough.
    - `norm`: that of the controller's error test.
    - `seen`: state -> weights of its entries in inner products: 1, or 0 for integrals beside it, of which f does
      not depend. All 1 by default.
    - `exact`: products J v by differentiation, or by difference quotients (`quotients_do` says where they do).
    - `most`: products in one Krylov space, fewer where its basis would need more than 16 MB, but at least 16.

    **Reference:** Hochbruck, Ostermann, Schweitzer (2009), SIAM J. Numer. Anal. 47, 786-803; Lanczos for φ functions:
    Hochbruck, Lubich (1997), SIAM J. Numer. Anal. 34, 1911-1925.
    """

    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    norm: Callable[[PyTree], Array] = eqx.field(static=True, default=_tree.rms)
    seen: Callable[[PyTree], PyTree] = eqx.field(static=True, default=lambda y: jax.tree.map(jnp.ones_like, y))
    exact: bool = eqx.field(static=True, default=True)
    most: int = eqx.field(static=True, default=64)

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., DenseOutput]] = DenseOutput

    @property
    def states(self) -> int:
        """Copies of a small state that a step holds."""
        return self.states_of(1)

    def states_of(self, state: int) -> int:
        """Two bases, a step's vectors and the carry, in copies of a state of so many bytes."""
        return 17 + 2 * self._most(state)

    def order(self, terms):
        return 3

    def error_order(self, terms):
        return 3  # of the estimate: the embedded result is of order two

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        none = jnp.zeros((), jnp.int32)
        return ExponentialMemory(terms.vf(t0, y0, args), (none, none), none, jnp.zeros((), _tree.dtype(y0)))

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = jnp.asarray(t1 - t0)
        slope = jax.lax.cond(made_jump, lambda: terms.vf(t0, y0, args), lambda: solver_state.slope)
        start, unravel = ravel_pytree(y0)
        force = ravel_pytree(slope)[0]
        weights = ravel_pytree(self.seen(y0))[0]
        allowed, most = self._allowed(y0), self._most(start.size * start.dtype.itemsize)

        def field(y):
            return ravel_pytree(terms.vf(t0, unravel(y), args))[0]

        product, price = self._products(field, start, force, weights)

        def space(b, k: int, last, tolerance) -> Krylov:
            return krylov(
                product, b, lambda z: h**2 * phi(k + 1, h * z), tolerance=tolerance, weights=weights,
                most=most, first=last * 3 // 4,
            )  # fmt: skip

        linear = space(force, 1, solver_state.sizes[0], allowed)
        move, image = _scaled(linear, h, 1)
        bend = field(start + move) - force - image
        # A step that is refused already gets no second space.
        last, tolerance = (
            jnp.where(linear.converged, a, b) for a, b in ((solver_state.sizes[1], 0), (allowed / 2, jnp.inf))
        )
        curved = space(bend, 3, last, tolerance)
        correction = 2 * _scaled(curved, h, 3)[0]
        y1 = unravel(start + move + correction)
        converged = linear.converged & curved.converged
        error = unravel(jnp.where(converged, correction, jnp.inf))
        error = self._at_least(error, y0, y1, jnp.maximum(linear.size, curved.size), most)
        slope1 = terms.vf(t1, y1, args)
        cost = price * (linear.size + curved.size) + 2 + jnp.asarray(made_jump, jnp.int32)
        radius = jnp.max(jnp.abs(jnp.stack([linear.values, curved.values])))
        memory = ExponentialMemory(slope1, (linear.size, curved.size), cost, radius)
        # Diffrax pads what it stores of steps with infinity, which whole numbers do not have.
        spaces = jax.tree.map(lambda x: x.astype(start.dtype), {"linear": linear, "curved": curved})
        return y1, error, {"y0": y0, **spaces}, memory, diffrax.RESULTS.successful

    def _products(self, field, start, force, weights) -> tuple[Callable[[Array], Array], int]:
        """v -> J v at `start`, where the field is `force`; and the evaluations that one takes."""
        if self.exact:
            return jax.linearize(field, start)[1], 2
        epsilon = math.sqrt(jnp.finfo(start.dtype).eps) * (1 + jnp.sqrt(jnp.sum(weights * start**2)))
        return lambda v: (field(start + epsilon * v) - force) / epsilon, 1

    def _allowed(self, y0: PyTree) -> Float[Array, ""]:
        """What a Krylov space may leave out: every array has an error test, and the smallest may get it all."""
        seen, eps = self.seen(y0), jnp.finfo(_tree.dtype(y0)).eps
        scales = jax.tree.map(lambda y, w: jnp.sqrt(jnp.sum(w * (self.atol + self.rtol * jnp.abs(y)) ** 2)), y0, seen)
        strictest = functools.reduce(jnp.minimum, [jnp.where(s > 0, s, jnp.inf) for s in jax.tree.leaves(scales)])
        return jnp.maximum(
            _SHARE * strictest, _NOISE * eps * jnp.sqrt(_tree.dot(jax.tree.map(jnp.multiply, seen, y0), y0))
        )

    def _most(self, state: int) -> int:
        return max(16, min(self.most, _BYTES // state))

    def _at_least(self, error: PyTree, y0: PyTree, y1: PyTree, size, most: int) -> PyTree:
        """The estimate, or more where a step as much longer as it allows would need too many products.

        These grow like the root of the step.
        """
        growth = jnp.minimum((0.8 * most / jnp.maximum(size, 1)) ** 2, _FASTEST)
        floor = jnp.minimum(0.9 / growth, 0.99) ** 3  # below 1: a step that was reached is not refused
        scale = jax.tree.map(lambda a, b: self.atol + self.rtol * jnp.maximum(jnp.abs(a), jnp.abs(b)), y0, y1)
        size_of = self.norm(jax.tree.map(jnp.divide, error, scale))
        factor = jnp.maximum(1, floor / jnp.where(size_of > 0, size_of, 1))
        return jax.tree.map(lambda e, s: jnp.where(size_of > 0, factor * e, floor * s), error, scale)


def quotients_do(rtol: float, dtype) -> bool:
    """Are difference quotients good enough for a tolerance? From 4·10⁻⁶ on in float64, and from 0.1 on in float32."""
    return bool(rtol >= 300 * math.sqrt(jnp.finfo(dtype).eps))
