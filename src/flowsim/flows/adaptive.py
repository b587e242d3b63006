"""Adaptive methods: the limits of Adam, RMSprop and of sign descent."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _checks, _tree
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits, descent_rate


class Averages(eqx.Module):
    """A position with the running averages of its gradient, and of the squared gradient in units of ε².

    ε is the gradient at which Adam's step begins to shrink: in its units the error test of the squares is relative
    wherever they matter.
    """

    position: Parameters
    first: Parameters | None
    second: Parameters


class Adaptive(AbstractFlow):
    """Adam's limit (see `adam`); without the first average RMSprop's. The energy is the risk, which may also rise.

    **Fields:** `first`, `second`: times over which the gradient and its square are averaged, τ1 (None: not at all)
    and τ2. `epsilon`: ε.
    """

    traits: ClassVar[Traits] = Traits()
    first: float | None
    second: float
    epsilon: float

    def init(self, problem: Problem) -> PyTree:
        zero = _tree.scale(0.0, problem.parameters)
        return Averages(problem.parameters, None if self.first is None else zero, zero)

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        force, _ = problem.velocity(state.position)
        squares = jax.tree.map(lambda f: (f / self.epsilon) ** 2, force)
        if self.first is None:
            first, push = None, force
        else:
            gradient = _tree.scale(-1.0, force)
            first = _tree.scale(1 / self.first, _tree.subtract(gradient, state.first))
            push = _tree.scale(-1.0, _unbiased(state.first, gradient, t, self.first))
        second = _tree.scale(1 / self.second, _tree.subtract(squares, state.second))
        size = jax.tree.map(_root, _unbiased(state.second, squares, t, self.second))
        velocity = jax.tree.map(lambda p, s: p / (self.epsilon * (s + 1)), push, size)
        return Averages(velocity, first, second), descent_rate(problem, state.position, velocity)

    def parameters(self, state: PyTree) -> Parameters:
        return state.position

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state.position)


def _unbiased(average, now, t, memory):
    """Average over (1 - exp(-t/τ)), which started from 0; at t = 0 its limit, the present value."""
    weight = -jnp.expm1(-t / memory)
    safe = jnp.where(t > 0, weight, 1.0)
    return jax.tree.map(lambda a, n: jnp.where(t > 0, a / safe, n), average, now)


def _root(x):
    """√x; 0 where rounding or dense output left x below 0, with a derivative of 0 rather than none."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def adam(*, first: float, second: float, epsilon: float = 1e-8) -> Adaptive:
    """Adam's limit with its bias correction, on the clock t = k η:

        τ1 m' = ∇risk - m,   τ2 v' = (∇risk)² - v,   θ' = -m̂ / (√v̂ + ε),
        m̂ = m / (1 - exp(-t/τ1)),   v̂ = v / (1 - exp(-t/τ2)).

    `optax.adam(η, b1, b2)` follows it up to O(η) with τ = `memory(η, b)`: the averages reach back over η/(1 - b) in
    time, and the bias correction fades over the same τ. With b1 and b2 held fixed both τ vanish with η, and the limit
    is `sign`.

    **Arguments:** `first`, `second`: τ1, τ2 > 0. `epsilon`: ε > 0.

    **Reference:** Kingma, Ba (2015), Adam; da Silva, Gazeau (2020), A general system of differential equations to
    model first-order adaptive algorithms; Barakat, Bianchi (2021), SIAM J. Optim. 31.
    """
    return Adaptive(*_positive(first=first, second=second, epsilon=epsilon))


def rmsprop(*, second: float, epsilon: float = 1e-8) -> Adaptive:
    """RMSprop's limit with bias correction, on the clock t = k η: τ v' = (∇risk)² - v, θ' = -∇risk / (√v̂ + ε).

    `optax.rmsprop(η, b, eps_in_sqrt=False, bias_correction=True)` follows it up to O(η) with τ = `memory(η, b)`.
    Without the correction the first steps are far too long (they grow like √(τ/η)), and the limit is reached at
    O(√η) only.

    **Arguments:** `second`: τ > 0. `epsilon`: ε > 0.
    """
    return Adaptive(None, *_positive(second=second, epsilon=epsilon))


def memory(learning_rate: float, decay: float) -> float:
    """τ = -η/ln b: the time over which an average with decay b per step of learning rate η reaches back."""
    if not (_checks.real("learning_rate", learning_rate) > 0 and 0 < _checks.real("decay", decay) < 1):
        raise ValueError(f"learning_rate must be > 0 and decay in (0, 1), got {learning_rate} and {decay}.")
    return -learning_rate / math.log(decay)


class Sign(AbstractFlow):
    """θ' = -∇risk / √((∇risk)² + ε²), entry by entry. The energy is the risk."""

    traits: ClassVar[Traits] = Traits()
    epsilon: float

    def init(self, problem: Problem) -> PyTree:
        return problem.parameters

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        force, _ = problem.velocity(state)
        velocity = jax.tree.map(lambda f: f / jnp.sqrt(f**2 + self.epsilon**2), force)
        return velocity, _tree.dot(force, velocity)

    def parameters(self, state: PyTree) -> Parameters:
        return state

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state)


def sign(*, epsilon: float = 1e-3) -> Sign:
    """Sign descent's limit, θ' = -sign(∇risk), made smooth where a gradient is below about ε.

    When to use it: as the limit of Adam at small learning rate with its decays held fixed. Without smoothing the flow
    slides along surfaces where a derivative vanishes, and has no solution in the classical sense there.

    **Arguments:** `epsilon`: ε > 0. The smaller, the stiffer: rates of up to (curvature of the risk)/ε.
    """
    return Sign(*_positive(epsilon=epsilon))


def _positive(**values: float) -> tuple[float, ...]:
    return tuple(_checks.positive(name, value) for name, value in values.items())
