"""What a flow is: a vector field on a state that carries the parameters."""

import abc
import dataclasses

import equinox as eqx
from jaxtyping import PyTree

from .. import _tree
from .._types import Parameters, Scalar
from ..problem import Problem


@dataclasses.dataclass(frozen=True)
class Traits:
    """What the rest of flowsim may rely on of a flow. The defaults claim nothing, and hold for any flow.

    **Fields:**

    - `equivariant`: orthogonally equivariant: the same in every system of orthonormal coordinates of a subspace that
      holds the start and all gradients, so that the exact reductions hold for it.
    - `shrinks`: beside what its gradients move, it scales all parameters alike, also where no gradient points: an
      exact reduction then carries the start's part outside of its subspace as one coordinate more.
    - `symmetric`: the Jacobian of the velocity is symmetric (where the problem has no metric of its own), on all
      vectors that the velocity takes; `exponential` needs it.
    - `real_spectrum`: its eigenvalues are real, at least; the stabilized methods need it.
    - `conserves`: the invariants of the gradient flow are conserved.
    - `jumps`: the velocity jumps on the path, at events of the flow's own.
    - `plain`: it is the gradient flow itself, for which the Gram system and the other exact reductions were derived.
    - `follows`: it follows the kinks of a risk that has some.
    - `staged`: its field `stages` says what moves until which of the run's events.
    - `directions`: labels of the directions along which its state holds derivatives.
    - `gradients`: gradients in one velocity, a Hessian-vector product counted as two.
    """

    equivariant: bool = False
    shrinks: bool = False
    symmetric: bool = False
    real_spectrum: bool = False
    conserves: bool = False
    jumps: bool = False
    plain: bool = False
    follows: bool = False
    staged: bool = False
    directions: tuple[str, ...] = ()
    gradients: int = 1


class AbstractFlow(eqx.Module):
    """dz/dt = velocity(problem, t, z), with a quantity that the flow dissipates.

    The loop integrates the dissipation beside the state, so that every run can check its energy identity
    energy(z(0)) - energy(z(t)) = ∫ dissipation dt.

    **Fields:** `traits`: what may be relied on; `Traits()` claims nothing.
    """

    traits: eqx.AbstractVar[Traits]

    @abc.abstractmethod
    def init(self, problem: Problem) -> PyTree:
        """The state at t = 0."""

    @abc.abstractmethod
    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        """dz/dt, of the state's structure, and the rate at which the energy falls."""

    @abc.abstractmethod
    def parameters(self, state: PyTree) -> Parameters:
        """The parameters in a state: a part of it, as it stands there."""

    @abc.abstractmethod
    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        """The quantity that the flow dissipates."""


class AbstractSwitched(AbstractFlow):
    """A flow in pieces: its state says in which, and the piece ends at an event, where the loop starts afresh.

    **Fields:** `renews`: is the event about the piece, and so positive at the start of the next one? Otherwise it keeps
    the sign that it changed to.
    """

    renews: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def ending(self, state: PyTree) -> str | None:
        """The event that ends the piece that a state is in, None for the last piece."""

    @abc.abstractmethod
    def following(self, problem: Problem, t: Scalar, state: PyTree) -> PyTree:
        """The same moment in the next piece. On the host."""


def descent_rate(problem: Problem, parameters: Parameters, velocity: Parameters) -> Scalar:
    """-d risk/dt where the parameters move with this velocity: the dissipation of a flow whose energy is the risk."""
    force, _ = problem.velocity(parameters)
    return _tree.dot(force, velocity)
