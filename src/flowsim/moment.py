"""A moment on the path: what a probe or an event may look at."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ._types import Array, Float, Parameters, Scalar
from .problem import Problem


class Lift(eqx.Module):
    """From the parameters that are integrated to the pytree that the user made: the way back from a reduction."""

    original: Problem
    lift: Callable[[Parameters], Parameters] | None
    recoverable: bool = eqx.field(static=True, default=True)

    @eqx.filter_jit
    def __call__(self, parameters: Parameters) -> PyTree:
        if not self.recoverable:
            raise ValueError(
                "this reduction keeps inner products of words only; a probe or event of single parameters needs "
                "another reduction (auto, rotation, none)."
            )
        return self.original.model(parameters if self.lift is None else self.lift(parameters))


class Moment(eqx.Module):
    """Time and parameters, with the problem that they belong to.

    **Fields:**

    - `problem`: the problem that is integrated, reduced or not; its `parameters` are the initial ones.
    - `t`: time.
    - `parameters`: of that problem.
    - `lift`: see `user_parameters`.
    - `flow`, `state`: the vector field, and all that it integrates (averages, tangents); None outside a flow's path.
    """

    problem: Problem
    t: Scalar
    parameters: Parameters
    lift: Lift
    flow: Any = None
    state: PyTree = None

    @property
    def model(self) -> PyTree:
        """The model at this moment, in the coordinates that are integrated."""
        return self.problem.model(self.parameters)

    @property
    def user_parameters(self) -> PyTree:
        """The user's own pytree at this moment, whatever reduction is in use."""
        return self.lift(self.parameters)

    def rate(self, quantity: Callable[[PyTree], Float[Array, "..."]]) -> Float[Array, "..."]:
        """d/dt of `quantity(model)` along the gradient flow."""
        velocity, _ = self.problem.velocity(self.parameters)
        return jax.jvp(lambda p: quantity(self.problem.model(p)), (self.parameters,), (velocity,))[1]

    def drift(self, quantity: Callable[[PyTree], Float[Array, "..."]]) -> Scalar:
        """max |q(t) - q(0)| over the entries of `quantity(model)`."""
        start = self.problem.model(self.problem.parameters)
        return jnp.max(jnp.abs(quantity(self.model) - quantity(start)))

    def gradient_sums(self) -> Float[Array, "groups"]:
        """Σ g_i over each group of samples, g_i = |∂ℓ/∂F|."""
        task = self.problem.samples
        groups = jnp.asarray(task.groups)
        return jax.ops.segment_sum(jnp.abs(self.problem.slopes(self.parameters)), groups, len(task.group_names))
