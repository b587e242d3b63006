"""Flows made of other flows: the parameters' velocity, adjusted."""

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _checks, _tree
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits, descent_rate
from .gradient import Gradient, unfollowed
from .leaves import by_leaf, listed, weights


class AbstractAdjustment(eqx.Module):
    """`(parameters, velocity) -> velocity`, pure, and what it leaves of a flow's traits."""

    @abc.abstractmethod
    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        """The adjusted velocity."""

    @abc.abstractmethod
    def traits(self, base: Traits) -> Traits:
        """Of the adjusted flow, from those of the flow that is adjusted."""


class Adjusted(AbstractFlow):
    """`base` with another velocity of its parameters; what else is in its state moves as before.

    The energy is the risk, whatever the base's is.

    **Fields:** `adjust`: how the velocity is adjusted.
    """

    base: AbstractFlow
    adjust: AbstractAdjustment

    def __check_init__(self):
        unfollowed(self.base)

    @property
    def traits(self) -> Traits:
        return dataclasses.replace(self.adjust.traits(self.base.traits), plain=False, staged=False)

    def init(self, problem: Problem) -> PyTree:
        return self.base.init(problem)

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        velocity, _ = self.base.velocity(problem, t, state)
        here = self.base.parameters(state)
        adjusted = self.adjust(here, self.base.parameters(velocity))
        return eqx.tree_at(self.base.parameters, velocity, adjusted), descent_rate(problem, here, adjusted)

    def parameters(self, state: PyTree) -> Parameters:
        return self.base.parameters(state)

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(self.base.parameters(state))


class _Decay(AbstractAdjustment):
    strength: float

    def traits(self, base: Traits) -> Traits:
        # It adds a multiple of the identity to the Jacobian.
        return dataclasses.replace(base, shrinks=True, conserves=False)

    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        return jax.tree.map(lambda v, x: v - self.strength * x, velocity, here)


def _rescaled(base: Traits) -> Traits:
    """Of a flow at another speed: the same path. With a symmetric Jacobian H the new one is P H with P symmetric and
    not negative, so that its eigenvalues stay real."""
    return dataclasses.replace(base, symmetric=False, real_spectrum=base.symmetric)


class _Clip(AbstractAdjustment):
    limit: float

    def traits(self, base: Traits) -> Traits:
        return _rescaled(base)

    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        return _tree.scale(self.limit / jnp.maximum(_tree.norm(velocity), self.limit), velocity)


class _Normalise(AbstractAdjustment):
    epsilon: float

    def traits(self, base: Traits) -> Traits:
        return _rescaled(base)

    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        return _tree.scale(1 / jnp.sqrt(_tree.dot(velocity, velocity) + self.epsilon**2), velocity)


class _Scale(AbstractAdjustment):
    rates: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def traits(self, base: Traits) -> Traits:
        # Arrays at rest (rate 0) leave the Jacobian of those that move as it is; D H with D >= 0 has real eigenvalues.
        selects = all(rate in (0.0, 1.0) for _, rate in self.rates)
        return dataclasses.replace(
            base, equivariant=False, conserves=False, symmetric=base.symmetric and selects, real_spectrum=base.symmetric
        )

    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        return by_leaf(jnp.multiply, weights(here, dict(self.rates)), velocity)


class _Project(AbstractAdjustment):
    names: tuple[str, ...] | None = eqx.field(static=True)

    def traits(self, base: Traits) -> Traits:
        return Traits(gradients=base.gradients)

    def __call__(self, here: Parameters, velocity: Parameters) -> Parameters:
        names = _tree.paths(here) if self.names is None else self.names
        chosen = weights(here, dict.fromkeys(names, 1.0), other=0.0)

        def tangent(on, x, v):
            size = jnp.maximum(jnp.sum(x * x), jnp.finfo(x.dtype).tiny)
            return v - x * jnp.sum(x * v) / size if on else v

        return by_leaf(tangent, chosen, here, velocity)


def weight_decay(base: AbstractFlow | None = None, *, strength: float) -> Adjusted:
    """`base` with decoupled weight decay: θ' = (base's velocity) - λ θ.

    Of the gradient flow it is the gradient flow of risk + λ‖θ‖²/2; of `adam` it is the limit of AdamW, whose
    `optax.adamw(η, weight_decay=λ)` it follows on the clock t = k η.

    **Arguments:** `base`: the gradient flow if None. `strength`: λ > 0.

    **Reference:** Loshchilov, Hutter (2019), Decoupled weight decay regularization.
    """
    return Adjusted(base or Gradient(), _Decay(_checks.positive("strength", strength)))


def clipped(base: AbstractFlow | None = None, *, limit: float) -> Adjusted:
    """`base` with the norm of the parameters' velocity, over all of them together, held to `limit` > 0.

    Of the gradient flow it is the limit of descent with `optax.clip_by_global_norm(limit)`.
    """
    return Adjusted(base or Gradient(), _Clip(_checks.positive("limit", limit)))


def normalised(base: AbstractFlow | None = None, *, epsilon: float = 1e-8) -> Adjusted:
    """`base` at unit speed, θ' = v/√(‖v‖² + ε²): the same path as the gradient flow's, with arc length as its time.

    It reaches a minimum at finite distance in finite time; ε smooths the halt there.
    """
    return Adjusted(base or Gradient(), _Normalise(_checks.positive("epsilon", epsilon)))


def time_scales(base: AbstractFlow | None = None, *, rates: Mapping[str, float]) -> Adjusted:
    """`base` with another speed for some parameters, as learning rates of their own would give.

    **Arguments:** `rates`: name -> factor ≥ 0 on the velocity. A name is that of one array (`W_K`, `blocks.0.a`) or
    of all arrays below it (`blocks.0`); the longest name that fits counts; arrays that none fits keep their speed.

    **Raises:** `ValueError` for a negative factor, and at the start of a run for a name that fits no array.
    """
    for name, rate in _checks.instance(rates, Mapping, "rates must be a dictionary name -> factor").items():
        if not (math.isfinite(_checks.real(f"the rate of {name}", rate)) and rate >= 0):
            raise ValueError(f"the rate of {name} must be >= 0 and finite, got {rate}.")
    return Adjusted(base or Gradient(), _Scale(tuple((k, float(v)) for k, v in rates.items())))


def frozen(names: Sequence[str] | str, base: AbstractFlow | None = None) -> Adjusted:
    """`base` with the named parameters at rest; names, or one of them, as for `time_scales`."""
    return time_scales(base, rates=dict.fromkeys(listed(names), 0.0))


def projected(base: AbstractFlow | None = None, *, names: Sequence[str] | str | None = None) -> Adjusted:
    """`base` on spheres: each array (or each named one, as for `time_scales`) keeps its norm.

    The velocity loses its part along the array: v - x⟨x, v⟩/‖x‖².
    """
    return Adjusted(base or Gradient(), _Project(None if names is None else listed(names)))
