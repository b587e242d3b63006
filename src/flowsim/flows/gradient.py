"""The gradient flow (Equation 2 of the paper, Appendix B)."""

from typing import ClassVar

from jaxtyping import PyTree

from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits


class Gradient(AbstractFlow):
    """dθ/dt = -∇risk(θ), for all parameters together. The state is θ; the energy is the risk."""

    traits: ClassVar[Traits] = Traits(equivariant=True, symmetric=True, real_spectrum=True, conserves=True)

    def init(self, problem: Problem) -> PyTree:
        return problem.parameters

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        return problem.velocity(state)

    def parameters(self, state: PyTree) -> Parameters:
        return state

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state)


def gradient() -> Gradient:
    """The exact gradient flow, flowsim's default."""
    return Gradient()
