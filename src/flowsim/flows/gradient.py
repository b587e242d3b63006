"""The gradient flow (Equation 2 of the paper, Appendix B)."""

from typing import Literal

import equinox as eqx
from jaxtyping import PyTree

from .. import _checks
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits


class Gradient(AbstractFlow):
    """dθ/dt = -∇risk(θ), for all parameters together. The state is θ; the energy is the risk. See `gradient`."""

    kinks: Literal["none", "follow"] = eqx.field(static=True, default="none")

    @property
    def traits(self) -> Traits:
        return Traits(
            equivariant=True, symmetric=True, real_spectrum=True, conserves=True, plain=True,
            follows=self.kinks == "follow",
        )  # fmt: skip

    def init(self, problem: Problem) -> PyTree:
        return problem.parameters

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        return problem.velocity(state)

    def parameters(self, state: PyTree) -> Parameters:
        return state

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(state)


def gradient(kinks: Literal["none", "follow"] = "none") -> Gradient:
    """The exact gradient flow, flowsim's default.

    **Arguments:** `kinks`: with `follow` the flow of a risk with kinks (ReLU, |x|, a maximum), up to some hundred of
    them, is Clarke's subgradient flow, `Sliding`; with `none` it is integrated as if it were smooth, and kinks that it
    meets are diagnosed.
    """
    return Gradient(_checks.choice("kinks", kinks, ("none", "follow")))


def unfollowed(base: AbstractFlow) -> AbstractFlow:
    """A flow whose velocity is to be changed.

    **Raises:** `TypeError` for what is no flow; `ValueError` for one that follows kinks: where the velocity is not the
    gradient's the rule for slides does not hold.
    """
    _checks.instance(base, AbstractFlow, "base must be one of flowsim.flows")
    if base.traits.follows:
        raise ValueError("kinks are followed by the gradient flow itself: adjust or stage gradient(kinks='none').")
    return base
