"""The flow of a state and of its derivatives: z' = v(z, ε), δz' = ∂v/∂z δz + ∂v/∂ε."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits


class Change(eqx.Module):
    """Derivatives by ε of a problem and of its lift, one row for each direction; None where nothing changes."""

    problem: PyTree
    lift: PyTree

    @property
    def directions(self) -> int:
        return len(jax.tree.leaves(self)[0])


class WithTangents(eqx.Module):
    """A flow's own state, and its derivatives in every direction, stacked along a first axis."""

    flow: PyTree
    tangents: PyTree


class Variational(AbstractFlow):
    """`base`, with the first-order change of its state along a family of problems (the variational equation).

    Each direction costs a Jacobian-vector product per velocity; what does not depend on the direction is computed once.
    The tangents are part of the state, so that the error test sizes the steps for them too. The energy is the base's.

    **Fields:** `change`: derivatives by ε of the problem that the loop integrates, and of its lift; `labels`: names of
    the directions.
    """

    base: AbstractFlow
    change: Change
    labels: tuple[str, ...] = eqx.field(static=True)

    @property
    def traits(self) -> Traits:
        """The family is reduced first, with the derivatives of its bases: what is left is the reduced flow's own
        tangent. The Jacobian is block triangular with the base's on its diagonal, so it has the base's spectrum."""
        base = self.base.traits
        gradients = base.gradients * (1 + 2 * self.change.directions)
        return Traits(equivariant=True, real_spectrum=base.real_spectrum, directions=self.labels, gradients=gradients)

    def init(self, problem: Problem) -> PyTree:
        def along(change):
            # What does not change with ε at the start does so later: it has a tangent too.
            return _filled(*eqx.filter_jvp(self.base.init, (problem,), (change,)))

        return WithTangents(self.base.init(problem), jax.vmap(along)(self.change.problem))

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        def field(problem, z):
            return self.base.velocity(problem, t, z)

        def along(change, dz):
            (velocity, rate), (dv, _) = eqx.filter_jvp(field, (problem, state.flow), (change, dz))
            return (velocity, rate), _filled(velocity, dv)

        (velocity, rate), dv = jax.vmap(along, out_axes=(None, 0))(self.change.problem, state.tangents)
        return WithTangents(velocity, dv), rate

    def parameters(self, state: PyTree) -> Parameters:
        return self.base.parameters(state.flow)

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return self.base.energy(problem, state.flow)


def _filled(values: PyTree, tangents: PyTree) -> PyTree:
    """Tangents, with zeros where JAX knows that there is none."""
    return jax.tree.map(lambda x, d: jnp.zeros_like(x) if d is None else d, values, tangents)
