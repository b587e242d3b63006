"""A problem: a risk, and the parameters that descend on it."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _checks, _programs, _tree, losses
from .._show import table, text
from .._types import Parameters, Scalar
from ..models import AbstractModel, trained, traits
from ..tasks import Task
from . import show
from .fit import (
    as_array,
    check_conserved,
    check_fit,
    check_kinds,
    check_names,
    embed,
    evaluated,
    one_dtype,
    sample_weights,
)
from .parts import activations, over_samples, part_size

Metric = Callable[[Parameters, Parameters], Parameters]
_FITS = _tree.Seen()


class Problem(eqx.Module):
    """Model + task + loss as one pure `risk(parameters)`.

        risk(θ) = (1/n) Σ_i w_i ℓ(F_θ(x_i), y_i)

    For any other pure loss of any pytree use `Problem.from_loss`.

    **Arguments:**

    - `model`: an unbatched Equinox module `tokens -> prediction`.
    - `task`: a `flowsim.tasks.Task`.
    - `loss`: per-example loss `(prediction, label) -> scalar`, or the name of one of `flowsim.losses`; the one that
      fits the labels by default: `logistic` of signs, `cross_entropy` of words, `squared` of numbers.
    - `trainable`: which arrays move, as a pytree of bools or a predicate; by default what the model says, or every
      inexact array of a model that says nothing.
    - `weights`: w_i of every sample; all 1 if None. They are divided by n, not by their sum.
    - `samples_at_once`: the risk and its gradient are sums over parts of this many samples, so that memory does not
      grow with the number of samples; what the model computes for a part is computed again on the way back. `"all"`
      for one part; by default one part where memory allows it.
    - `conserved`: name -> `function(model)`, quantities that you know the flow to conserve; the certificate's
      `invariants` then hold their drift beside those that are found by themselves.

    **Raises:** `ValueError` if nothing is trainable, if a trained array is not real, if two arrays have the same name
    (`{"a.b": …, "a": {"b": …}}`), or if model, task and loss do not fit together: their vocabularies differ, the model
    cannot read a sample, the loss cannot compare a prediction with a label. `TypeError` for an argument of another
    kind.
    """

    parameters: Parameters  # initial values; where an array is not trained, None
    remainder: PyTree  # the rest of the model, never trained
    task: Task | None
    loss: Callable
    metric: Metric | None  # (parameters, ∂risk) -> velocity; None for the Euclidean -∂risk
    weights: Float[Array, "samples"] | None  # of the samples; None for 1 each
    samples_at_once: int | None = eqx.field(static=True)  # None for all
    conserved: tuple[tuple[str, Callable], ...] = eqx.field(static=True)

    def __init__(
        self,
        model: PyTree,
        task: Task | None,
        *,
        loss: Callable | str | None = None,
        trainable: Any = None,
        weights: Any = None,
        samples_at_once: int | str | None = None,
        conserved: Mapping[str, Callable] | None = None,
    ):
        _programs.refuse_fork()
        check_kinds(model, task)
        check_names(model)
        loss = losses.fitting(None if task is None else task.target) if loss is None else losses.named(loss)
        if task is not None and task.embedding is not None:
            model = embed(model, task.embedding)
        if trainable is None:
            trainable = trained(model)
        parameters, self.remainder = eqx.partition(model, trainable)
        self.parameters = one_dtype(parameters)
        self.task, self.loss, self.metric = task, loss, None
        self.weights = None if weights is None else sample_weights(weights, task, _tree.dtype(self.parameters))
        self.samples_at_once, self.conserved = None, check_conserved(conserved)
        if task is not None:
            _FITS.check((model, task, loss), lambda: check_fit(model, task, loss))
            self.samples_at_once = part_size(model, task, samples_at_once)

    @classmethod
    def from_loss(
        cls,
        loss: Callable[[PyTree], Scalar],
        parameters: PyTree,
        *,
        trainable: Any = None,
        conserved: Mapping[str, Callable] | None = None,
    ) -> "Problem":
        """The flow of any pure scalar `loss(parameters)`.

        **Arguments:** `parameters`: a pytree. `trainable`: which of its arrays move, as a pytree of bools or a
        predicate; by default every float and every inexact array. `conserved`: as of `Problem`; the functions see the
        pytree.

        **Raises:** `ValueError` if nothing is trainable, or if two arrays have the same name; `TypeError` if the loss
        is not a real scalar.
        """
        _programs.refuse_fork()
        if not callable(loss):
            raise TypeError(f"the loss must be a function of the parameters, got {_checks.described(loss)}.")
        tree = jax.tree.map(as_array, parameters)
        trainable = eqx.is_inexact_array if trainable is None else trainable
        problem = cls(tree, None, loss=loss, trainable=trainable, conserved=conserved)
        value = evaluated("the loss", lambda p: loss(problem.model(p)), problem.parameters)
        if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"the loss must return a real scalar, got {_checks.described(value)}.")
        return problem

    def model(self, parameters: Parameters) -> PyTree:
        """The model (or the user's pytree) with these parameters in it."""
        return eqx.combine(parameters, self.remainder)

    def risk(self, parameters: Parameters) -> Scalar:
        """The training loss."""
        if self.task is None:
            return self.loss(self.model(parameters))
        losses = self.losses(parameters)
        return jnp.mean(losses if self.weights is None else self.weights * losses)

    @eqx.filter_jit  # inside a program: traced once, however many probes and events of it ask
    def predictions(self, parameters: Parameters) -> Float[Array, "samples ..."]:
        """F(x_i) of every sample."""
        return over_samples(self.model(parameters), self.samples_at_once)(self.samples.tokens)

    def losses(self, parameters: Parameters) -> Float[Array, "samples"]:
        """ℓ(F(x_i), y_i) of every sample; a loss that comes entry by entry is summed over the prediction's entries."""
        task = self.samples

        def one(prediction, label):
            return jnp.sum(self.loss(prediction, label))

        if self.samples_at_once is None:  # the predictions are shared with other probes and events
            return jax.vmap(one)(self.predictions(parameters), task.labels)
        model = self.model(parameters)
        return over_samples(lambda x, y: one(model(x), y), self.samples_at_once)(task.tokens, task.labels)

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

    def restated(self, model: AbstractModel, task: Task) -> "Problem":
        """The same loss, weights and parts of the samples, of another model of the same predictions."""
        parts = self.samples_at_once or "all"
        return Problem(model, task, loss=self.loss, weights=self.weights, samples_at_once=parts)

    def evaluated_by_sample(self) -> "Problem":
        """The same problem, with the model's scores formed for the pairs of words of each sample, where it can choose.

        One evaluation then needs no d × d matrix.
        """
        if not traits(self.remainder).matrices:
            return self
        return eqx.tree_at(lambda p: (p.parameters, p.remainder), self, tuple(
            model.evaluated_by("sample") for model in (self.parameters, self.remainder)))  # fmt: skip

    @property
    def activation_bytes(self) -> int:
        """What a gradient of the risk holds of what the model computes of the samples, at the most, in bytes."""
        return activations(self.model(self.parameters), self.task, self.samples_at_once)

    @property
    def samples(self) -> Task:
        """The task of a problem that has one."""
        if self.task is None:
            raise ValueError("a problem made by Problem.from_loss has no samples; use a probe of your own.")
        return self.task

    @property
    def is_word_problem(self) -> bool:
        """Does the model have the words' inner products (`flowsim.models.AbstractWordModel`) and a task?"""
        return self.task is not None and traits(self.remainder).words

    def __repr__(self) -> str:
        if not show.is_whole(self.parameters, self.task):  # while JAX takes it apart, with other things for arrays
            return object.__repr__(self)
        return text("Problem", self._lines())

    def _repr_html_(self) -> str:
        return table("Problem", self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        return list(show.lines(self.remainder, self.parameters, self.task, self.loss))
