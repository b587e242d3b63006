"""Momentum: heavy ball with constant friction, and Nesterov's friction 3/t."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _checks, _tree
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits


class Moving(eqx.Module):
    """A position and its velocity."""

    position: Parameters
    velocity: Parameters


class Momentum(AbstractFlow):
    """θ'' + (γ + r/t) θ' = -∇risk(θ). The energy is risk + ‖θ'‖²/2, which falls at the rate (γ + r/t) ‖θ'‖².

    **Fields:** `friction`: γ. `vanishing`: r. `kick`: θ'(0) = -kick ∇risk(θ(0)).
    """

    traits: ClassVar[Traits] = Traits(equivariant=True)
    friction: float
    vanishing: float = 0.0
    kick: float = 0.0

    def init(self, problem: Problem) -> PyTree:
        force, _ = problem.velocity(problem.parameters)
        return Moving(problem.parameters, _tree.scale(self.kick, force))

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        force, _ = problem.velocity(state.position)
        started = t > 0
        later = jnp.where(started, t, 1.0)

        def accelerate(f, v):
            # Near 0 the velocity is force · t/(1 + r), so that (r/t) θ' has a limit where t = 0.
            return f - self.friction * v - self.vanishing * jnp.where(started, v / later, f / (1 + self.vanishing))

        acceleration = jax.tree.map(accelerate, force, state.velocity)
        friction = self.friction + jnp.where(started, self.vanishing / later, 0.0)
        rate = friction * _tree.dot(state.velocity, state.velocity)
        return Moving(state.velocity, acceleration), jnp.asarray(rate, t.dtype)

    def parameters(self, state: PyTree) -> Parameters:
        return state.position

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state.position) + _tree.dot(state.velocity, state.velocity) / 2


def momentum(*, friction: float) -> Momentum:
    """Heavy ball from rest: θ'' + γ θ' = -∇risk(θ).

    When to use it: as the limit of gradient descent with momentum. The steps of learning rate η and momentum β,

        v ← β v + ∇risk(θ),   θ ← θ - η v,

    follow it on the clock t = k h, h = `heavy_ball_step(η, β)`, with γ = `heavy_ball_friction(η, β)`, up to a
    distance of order h = O(√η); `heavy_ball` also matches the first step, which leaves a distance of order η. So β
    nears 1 as η falls: β = 1 - γ √η to leading order. With β held fixed the limit is the gradient flow, on the clock
    t = k η/(1 - β).

    **Arguments:** `friction`: γ ≥ 0.

    **Reference:** Polyak (1964), Some methods of speeding up the convergence of iteration methods; Kovachki, Stuart
    (2021), Continuous time analysis of momentum methods.
    """
    return Momentum(_at_least_zero("friction", friction))


def nesterov() -> Momentum:
    """The limit of Nesterov's accelerated gradient: θ'' + (3/t) θ' = -∇risk(θ), from rest.

    Steps with momentum (k - 1)/(k + 2) and learning rate η follow it on the clock t = k √η, up to O(√η).

    **Reference:** Su, Boyd, Candès (2016), A differential equation for modeling Nesterov's accelerated gradient
    method, Equation 3.
    """
    return Momentum(0.0, vanishing=3.0)


def heavy_ball(*, learning_rate: float, momentum: float) -> Momentum:
    """The flow that `optax.sgd(learning_rate, momentum)` follows to first order in the learning rate.

    In central differences δ₀ and δ² the steps read (1 - β) δ₀ + (1 + β)/2 δ² = -η ∇risk, which is heavy ball with the
    friction of `heavy_ball_friction` up to O(h²); and their first step is longer than the flow's from rest, by what
    a kick of h/2 gives it.

    **Arguments:** `learning_rate`: η > 0. `momentum`: β in [0, 1).
    """
    friction = heavy_ball_friction(learning_rate, momentum)
    return Momentum(friction, kick=heavy_ball_step(learning_rate, momentum) / 2)


def heavy_ball_step(learning_rate: float, momentum: float) -> float:
    """h = √(2η/(1 + β)): the time that one step of gradient descent with momentum takes on heavy ball's clock."""
    if not (_checks.real("learning_rate", learning_rate) > 0 and 0 <= _checks.real("momentum", momentum) < 1):
        raise ValueError(
            f"learning_rate must be > 0 and momentum in [0, 1), got {learning_rate} and {momentum}: a momentum of 1 "
            "has no friction and never settles."
        )
    return math.sqrt(2 * learning_rate / (1 + momentum))


def heavy_ball_friction(learning_rate: float, momentum: float) -> float:
    """γ = 2 (1 - β)/((1 + β) h): the friction of gradient descent with momentum."""
    return 2 * (1 - momentum) / ((1 + momentum) * heavy_ball_step(learning_rate, momentum))


def _at_least_zero(name: str, value: float) -> float:
    number = _checks.real(name, value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be >= 0 and finite, got {number}.")
    return number
