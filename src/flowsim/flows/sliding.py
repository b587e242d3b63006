"""The gradient flow of a risk with kinks: a smooth flow in each mode, and an event where the mode ends."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from .._jit import fast_compile
from .._types import Parameters, Scalar
from ..problem import Problem
from ..problem.gates import count_kinks
from .contact import next_mode, settled
from .flow import AbstractSwitched, Traits
from .modes import InMode, ending, force, kinks, margins, multipliers


class Sliding(AbstractSwitched):
    """dθ/dt ∈ -∂risk(θ), Clarke's subdifferential, of a risk that is smooth between its kinks z_k(θ) = 0.

    Between two events the mode is fixed: each kink has a side, and the risk is that side's smooth piece, or it is slid
    along. The velocity of a slide is the piece's, projected onto the kinks' common tangent space,

        v = v₀ - Zᵀ μ,  Z v = 0,  Z = ∂z of the kinks that are slid along,

    with v₀ that of the sides where z < 0. It is a convex combination of the sides' velocities, one gate λ for each
    kink, as long as 0 ≤ λ_k = μ_k/c_k ≤ 1, c_k being the jump of ∂risk/∂z_k. So a mode ends where a watched z changes
    its sign, or a λ leaves [0, 1].

    **Fields:** `places`: in how many places of the risk's program kinks are formed: the layers of a network.

    **Reference:** Filippov (1988), Differential equations with discontinuous righthand sides; Clarke (1983),
    Optimization and nonsmooth analysis.
    """

    traits: ClassVar[Traits] = Traits(conserves=True, jumps=True)
    renews: ClassVar[bool] = True
    places: int = eqx.field(static=True)

    def init(self, problem: Problem) -> PyTree:
        """Each kink on its side. A start on a kink is `settled` first."""
        parameters = problem.parameters
        nothing = jnp.zeros(count_kinks(problem.risk, parameters).kinks, _tree.dtype(parameters))
        gates = nothing
        for _ in range(self.places):  # a later layer's z depend on the gates before it
            gates = (kinks(problem, parameters, gates) > 0).astype(nothing.dtype)
        zero = jnp.zeros((), nothing.dtype)
        return InMode(parameters, gates, nothing, nothing, zero, zero, zero)

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        pull, sliding = force(problem, state.parameters, state.gates), state.slid

        def slide():
            return multipliers(problem, state.parameters, state.gates, sliding, pull)[1]

        velocity = jax.lax.cond(jnp.any(sliding), slide, lambda: pull)
        rest = jax.tree.map(jnp.zeros_like, state)
        return eqx.tree_at(self.parameters, rest, velocity), _tree.dot(velocity, pull)

    def parameters(self, state: PyTree) -> Parameters:
        return state.parameters

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state.parameters)

    def margins(self, problem: Problem, state: PyTree) -> Float[Array, "margins"]:
        """Numbers that are positive as long as the mode lasts."""
        return margins(problem, state, self.places)

    def ends(self, problem: Problem, t: Scalar, state: PyTree) -> Int[Array, ""]:
        """The number of the kink at which the mode ends, at the time when it does."""
        return ending(problem, t, state, self.places)

    def ending(self, state: PyTree) -> str:
        return KINKS

    def following(self, problem: Problem, t: Scalar, state: PyTree) -> PyTree:
        return next_mode(problem, t, state, self.places)

    def settled(self, problem: Problem) -> InMode:
        """The state at the start, where each kink that the start lies on has a side or is slid along."""
        return settled(problem, _start(self, problem), self.places)


KINKS = "kinks"
"""The name of the event that ends a mode."""


@fast_compile
def _start(flow: Sliding, problem: Problem) -> InMode:
    return flow.init(problem)
