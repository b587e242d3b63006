"""A problem: a risk, and the parameters that descend on it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from . import _tree, losses
from ._types import Parameters, Scalar
from .models import AbstractModel, AbstractWordModel
from .tasks import Task

Metric = Callable[[Parameters, Parameters], Parameters]


class Problem(eqx.Module):
    """Model + task + loss as one pure `risk(parameters)`.

        risk(θ) = (1/n) Σ_i ℓ(F_θ(x_i), y_i)

    For any other pure loss of any pytree use `Problem.from_loss`.

    **Arguments:**

    - `model`: an unbatched Equinox module `tokens -> prediction`.
    - `task`: a `flowsim.tasks.Task`.
    - `loss`: per-example loss `(prediction, label) -> scalar`.
    - `trainable`: which arrays move, as a pytree of bools or a predicate; by default what the model says, or every
      inexact array of a model that says nothing.

    **Raises:** `ValueError` if nothing is trainable, or if a trained array is not real.
    """

    parameters: Parameters  # initial values; where an array is not trained, None
    remainder: PyTree  # the rest of the model, never trained
    task: Task | None
    loss: Callable
    metric: Metric | None  # (parameters, ∂risk) -> velocity; None for the Euclidean -∂risk

    def __init__(self, model: PyTree, task: Task | None, *, loss: Callable = losses.logistic, trainable: Any = None):
        if task is not None and task.embedding is not None:
            model = _embed(model, task.embedding)
        if trainable is None:
            trainable = model.trainable() if isinstance(model, AbstractModel) else eqx.is_inexact_array
        parameters, self.remainder = eqx.partition(model, trainable)
        self.parameters = _one_dtype(parameters)
        self.task, self.loss, self.metric = task, loss, None

    @classmethod
    def from_loss(cls, loss: Callable[[PyTree], Scalar], parameters: PyTree) -> "Problem":
        """The flow of any pure scalar `loss(parameters)`; every float and every inexact array in the pytree is trained.

        **Raises:** `ValueError` if nothing is trainable; `TypeError` if the loss is not a scalar.
        """
        tree = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, float) else x, parameters)
        tree = jax.tree.map(lambda x: jnp.asarray(x) if eqx.is_inexact_array_like(x) else x, tree)
        problem = cls(tree, None, loss=loss, trainable=eqx.is_inexact_array)
        shape = jax.eval_shape(lambda p: loss(problem.model(p)), problem.parameters)
        if getattr(shape, "shape", None) != ():
            raise TypeError(f"the loss must return a scalar, got {shape}.")
        return problem

    def model(self, parameters: Parameters) -> PyTree:
        """The model (or the user's pytree) with these parameters in it."""
        return eqx.combine(parameters, self.remainder)

    def risk(self, parameters: Parameters) -> Scalar:
        """The training loss."""
        if self.task is None:
            return self.loss(self.model(parameters))
        return jnp.mean(self.losses(parameters))

    @eqx.filter_jit  # inside a program: traced once, however many probes and events of it ask
    def predictions(self, parameters: Parameters) -> Float[Array, "samples ..."]:
        """F(x_i) of every sample."""
        return jax.vmap(self.model(parameters))(self.samples.tokens)

    def losses(self, parameters: Parameters) -> Float[Array, "samples"]:
        """ℓ(F(x_i), y_i) of every sample; a loss that comes entry by entry is summed over the prediction's entries."""

        def one(prediction, label):
            return jnp.sum(self.loss(prediction, label))

        return jax.vmap(one)(self.predictions(parameters), self.samples.labels)

    def margins(self, parameters: Parameters) -> Float[Array, "samples"]:
        """How clearly every sample is classified, positive where rightly.

        With labels ±1 it is y_i F(x_i). With words as labels it is the right word's logit less the largest of the
        others, at the worst position of the sample.

        **Raises:** `ValueError` for a task of numbers, which knows no right and wrong.
        """
        task, predictions = self.samples, self.predictions(parameters)
        if task.target == "sign":
            return jnp.asarray(task.labels) * predictions
        if task.target == "value":
            raise ValueError("a task whose labels are numbers has no margins; use the loss, or an event of your own.")
        right = jax.nn.one_hot(task.labels, predictions.shape[-1], dtype=bool)
        others = jnp.max(jnp.where(right, -jnp.inf, predictions), axis=-1)
        margins = jnp.max(jnp.where(right, predictions, -jnp.inf), axis=-1) - others
        return jnp.min(margins.reshape(len(margins), -1), axis=1)

    def slopes(self, parameters: Parameters) -> Float[Array, "samples"]:
        """∂ℓ/∂F of every sample: -y_i g_i for the logistic loss, with g_i = 1/(1 + exp(y_i F_i))."""
        return jax.vmap(jax.grad(self.loss))(self.predictions(parameters), self.samples.labels)

    @eqx.filter_jit
    def velocity(self, parameters: Parameters) -> tuple[Parameters, Scalar]:
        """dθ/dt of the gradient flow, and the rate at which it lowers the risk.

        In the parameters themselves the velocity is -∂risk and the rate is ‖∂risk‖². In other coordinates z = φ(θ)
        the same flow reads dz/dt = -M(z) ∂risk with M = J Jᵀ, J = ∂φ; `metric` applies -M.
        """
        gradient = jax.grad(self.risk)(parameters)
        if self.metric is None:
            return _tree.scale(-1.0, gradient), _tree.dot(gradient, gradient)
        velocity = self.metric(parameters, gradient)
        return velocity, -_tree.dot(gradient, velocity)

    @property
    def samples(self) -> Task:
        """The task of a problem that has one."""
        if self.task is None:
            raise ValueError("a problem made by Problem.from_loss has no samples; use a probe of your own.")
        return self.task

    @property
    def is_word_problem(self) -> bool:
        """Does the model have the words' inner products (`flowsim.models.AbstractWordModel`) and a task?"""
        return self.task is not None and isinstance(self.remainder, AbstractWordModel)


def _embed(model, embedding):
    if not isinstance(model, AbstractWordModel):
        raise ValueError(f"the task has an embedding matrix, but {type(model).__name__} takes none.")
    return eqx.tree_at(lambda m: m.embedding, model, embedding, is_leaf=lambda x: x is None)


def _one_dtype(parameters):
    """Cast to the common dtype: a solver's state has one, and a mixed tree would be promoted step by step."""
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise ValueError("nothing to train: the parameters hold no floating-point array.")
    dtype = _tree.dtype(parameters)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"parameters must be real floating-point arrays, got {dtype}; split complex numbers in two.")
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), parameters)
