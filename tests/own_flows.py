"""Flows of a user's own."""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from flowsim import flows


class Own(flows.AbstractFlow):
    """The gradient flow, with something done to its velocity and rate."""

    traits: ClassVar = flows.Traits()
    change: Callable = lambda v, r: (v, r)

    def init(self, problem):
        return problem.parameters

    def velocity(self, problem, t, state):
        return self.change(*problem.velocity(state))

    def parameters(self, state):
        return state

    def energy(self, problem, state):
        return problem.risk(state)


class Counting(Own):
    def init(self, problem):
        return {**problem.parameters, "count": jnp.zeros((), int)}


class Seasonal(Own):
    def velocity(self, problem, t, state):
        velocity, rate = problem.velocity(state)
        return jax.tree.map(lambda v: (2 + jnp.cos(t)) * v, velocity), (2 + jnp.cos(t)) * rate
