"""What a flow is: a vector field on a state that carries the parameters."""

import abc

import equinox as eqx
from jaxtyping import PyTree

from .._types import Parameters, Scalar
from ..problem import Problem


class AbstractFlow(eqx.Module):
    """dz/dt = velocity(problem, t, z), with a quantity that the flow dissipates.

    The loop integrates the dissipation beside the state, so that every run can check its energy identity
    energy(z(0)) - energy(z(t)) = ∫ dissipation dt.
    """

    @abc.abstractmethod
    def init(self, problem: Problem) -> PyTree:
        """The state at t = 0."""

    @abc.abstractmethod
    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        """dz/dt, of the state's structure, and the rate at which the energy falls."""

    @abc.abstractmethod
    def parameters(self, state: PyTree) -> Parameters:
        """The parameters in a state."""

    @abc.abstractmethod
    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        """The quantity that the flow dissipates."""
