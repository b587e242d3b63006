"""The modified flow: what gradient descent follows to one order more than the gradient flow."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _checks, _tree
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, Traits


class ModifiedGradient(AbstractFlow):
    """dθ/dt = -∇(risk + η/4 ‖∇risk‖²). The state is θ; the energy is the risk in brackets. See `modified_gradient`.

    **Fields:** `step`: η, as an array: another η runs the same compiled program.
    """

    # Where the start and all gradients lie in a subspace, so do the Hessian's images of its vectors, which are
    # differences of gradients; in orthonormal coordinates of it the velocity is the same formula. The Gram system has
    # other coordinates, in which ‖∇risk‖² would need the metric.
    traits: ClassVar[Traits] = Traits(equivariant=True, symmetric=True, real_spectrum=True, gradients=3)
    step: Float[Array, ""]

    def init(self, problem: Problem) -> PyTree:
        return problem.parameters

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        gradient, curve = jax.linearize(jax.grad(_euclidean(problem)), state)
        half = self._step(gradient) / 2
        velocity = jax.tree.map(lambda g, hg: -(g + half * hg), gradient, curve(gradient))
        return velocity, _tree.dot(velocity, velocity)

    def parameters(self, state: PyTree) -> Parameters:
        return state

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        risk, gradient = jax.value_and_grad(_euclidean(problem))(state)
        return risk + self._step(gradient) / 4 * _tree.dot(gradient, gradient)

    def _step(self, like: PyTree) -> Scalar:
        return self.step.astype(_tree.dtype(like))  # a float32 state stays one where x64 is on


def modified_gradient(step: float) -> ModifiedGradient:
    """The flow that gradient descent of learning rate η = `step` follows to second order in η:

        dθ/dt = -∇(risk + η/4 ‖∇risk‖²) = -(g + η/2 H g),   g = ∇risk, H its Hessian.

    When to use it: to see what finite steps change. On the clock t = kη descent is O(η) from the gradient flow and
    O(η²) from this one (`flowsim.compare.descent_order` measures both).

    It is the gradient flow of another risk, so its energy identity holds exactly. That risk has the orthogonal
    symmetries of the first, and the reductions `readout`, `rotation` and `vocabulary` are exact for it; it lacks the
    others, so W_K W_Kᵀ - W_Q W_Qᵀ and its like drift along it, as they do along descent; and there is no Gram system.

    A velocity costs a gradient and a Hessian-vector product, and `vector_field_evaluations` counts it
    as three gradients.

    **Arguments:** `step`: η > 0.

    **Reference:** Hairer, Lubich, Wanner (2006), Geometric Numerical Integration, chapter IX; Barrett, Dherin (2021),
    Implicit gradient regularization.
    """
    if not (math.isfinite(_checks.real("step", step)) and step > 0):
        raise ValueError(f"step must be > 0 and finite, got {step}: it is the learning rate of descent.")
    return ModifiedGradient(jnp.asarray(float(step)))


def _euclidean(problem: Problem):
    if problem.metric is not None:
        raise ValueError("the modified flow needs the Euclidean gradient: it has no Gram system.")
    return problem.risk
