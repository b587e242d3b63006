"""A flow whose state is one vector, for models of many arrays.

What is done to a state array by array (stages, error tests, dense output) is compiled, and on a GPU started, once for
each of them: with 64 arrays the first run takes three times as long as with the same numbers in one vector. Joining and
splitting cost two copies for each velocity, which is why a model of few arrays stays as it is.
"""

import jax
from jaxtyping import PyTree

from .. import _tree
from .._types import Parameters, Scalar
from .._vector import Vector
from ..problem import Problem
from .flow import AbstractFlow, Traits

_MANY = 8  # arrays
_LARGE = 10_000_000  # numbers: two more copies of a state count in memory, and compilation no longer in time


class Joined(AbstractFlow):
    """Another flow, whose state is the parameters, with that state as one vector.

    **Fields:** `base`: the other flow.
    """

    base: AbstractFlow

    @property
    def traits(self) -> Traits:
        return self.base.traits

    def init(self, problem: Problem) -> PyTree:
        return Vector.of(self.base.init(problem))

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        velocity, rate = self.base.velocity(problem, t, state.split())
        moved = Vector.of(velocity)
        # That of a gradient, ‖velocity‖², from the vector: one sum instead of one for each array.
        return moved, rate if problem.metric is not None else _tree.dot(moved, moved)

    def parameters(self, state: PyTree) -> Parameters:
        return self.base.parameters(state.split())

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return self.base.energy(problem, state.split())


def joined(flow: AbstractFlow, problem: Problem) -> AbstractFlow:
    """The gradient flow of a problem of many arrays, with its state as one vector; any other flow as it is."""
    leaves = jax.tree.leaves(problem.parameters)
    many = len(leaves) >= _MANY and _tree.size(leaves) <= _LARGE and len({x.dtype for x in leaves}) == 1
    spread = any(len(x.sharding.device_set) > 1 for x in leaves if isinstance(x, jax.Array) and _placed(x))
    return Joined(flow) if flow.traits.plain and many and not spread else flow


def _placed(x: jax.Array) -> bool:
    """Has it a place, as it has outside of compiled functions?"""
    return not isinstance(x, jax.core.Tracer)
