"""Per-example losses ℓ(F, y) of a prediction F and a label y: ±1, a number, or a word.

A loss is any function `(prediction, label) -> scalar`; the risk is its mean over the samples.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.nn import log_softmax, softplus
from jaxtyping import Array, Float, Int

from . import _checks


def logistic(prediction: Float[Array, "*shape"], label: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The paper's loss, ℓ = log(1 + exp(-y F)) (Equation 2).

    Safe for margins of any size: for y F = -10⁶ it is 10⁶, for y F = +10⁶ it is 0, and so are its derivatives.
    """
    return softplus(-label * prediction)


def squared(prediction: Float[Array, "*shape"], label: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ℓ = (F - y)² / 2. Its Hessian does not decay, so its flow is stiff (see the `stabilized` solver)."""
    return (prediction - label) ** 2 / 2


def exponential(prediction: Float[Array, "*shape"], label: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ℓ = exp(-y F). Overflows where the margin is below -700 in float64: start from small weights."""
    return jnp.exp(-label * prediction)


def cross_entropy(prediction: Float[Array, "*positions words"], label: Int[Array, "*positions"]) -> Float[Array, ""]:
    """ℓ = -log softmax(F)[y] of logits F and a word y, in nats; the mean over positions where each has its own."""
    return -jnp.mean(jnp.take_along_axis(log_softmax(prediction, axis=-1), label[..., None], axis=-1))


NAMES: dict[str, Callable] = {
    "logistic": logistic,
    "squared": squared,
    "exponential": exponential,
    "cross_entropy": cross_entropy,
}


def fitting(target: str | None) -> Callable:
    """The loss that fits a task's labels: signs, words or numbers."""
    return {"word": cross_entropy, "value": squared}.get(target or "sign", logistic)


def named(loss: Callable | str) -> Callable:
    """A loss by its name, or the function itself. **Raises:** `ValueError`, `TypeError` for anything else."""
    if callable(loss):
        return loss
    return NAMES[_checks.choice("loss", loss, NAMES, more=", or any function (prediction, label) -> scalar")]
