"""Networks of plain vectors: deep linear ones, and multilayer perceptrons."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key
from .model import AbstractModel


def _identity(x: Array) -> Array:
    return x


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": _identity,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "erf": jax.scipy.special.erf,
    "quadratic": jnp.square,
    "leaky_relu": jax.nn.leaky_relu,
}


def check_activation(name: str) -> None:
    """**Raises:** `ValueError` for an unknown activation."""
    _checks.choice("activation", name, ACTIVATIONS)


def uniform(key: Key, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """U(±1/√fan_in), as PyTorch draws linear layers; fan_in is the last axis."""
    bound = 1 / math.sqrt(shape[-1])
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def check_sizes(**sizes: int) -> None:
    """**Raises:** `ValueError` for a size below 1."""
    for name, size in sizes.items():
        _checks.count(name, size)


class DeepLinear(AbstractModel):
    """F(x) = W_N ⋯ W_2 W_1 x.

    When to use it: its loss is not convex, yet its flow from a balanced start on whitened inputs has closed forms
    (each singular value s of the target grows along a logistic curve for N = 2), and W_{i+1}ᵀW_{i+1} - W_i W_iᵀ is
    conserved for each pair of neighbors.

    **Arguments:** `sizes`: features of the input, of every hidden layer, and of the output. `key`: for the weights,
    U(±1/√fan_in).

    **Reference:** Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks.
    """

    layers: tuple[Float[Array, "_ _"], ...]

    def __init__(self, *, sizes: Sequence[int], key: Key):
        _check_layers(sizes)
        keys = jax.random.split(_checks.key(key), len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        self.layers = tuple(uniform(k, (rows, columns)) for k, columns, rows in pairs)

    def trainable(self) -> Any:
        return jax.tree.map(lambda _: True, self)

    def __call__(self, x: Float[Array, "features"]) -> Float[Array, "outputs"]:
        for weight in self.layers:
            x = weight @ x
        return x

    def product(self) -> Float[Array, "outputs features"]:
        """W_N ⋯ W_1."""
        return jax.vmap(self, in_axes=1, out_axes=1)(jnp.eye(self.layers[0].shape[1], dtype=self.layers[0].dtype))


class MLP(AbstractModel):
    """F(x) = W_N φ(… φ(W_1 x + b_1) …) + b_N.

    **Arguments:** `sizes`: as of `DeepLinear`. `activation`: φ, a name in `ACTIVATIONS`; up to 500 kinks
    (neurons × samples) of `relu` and `leaky_relu` are followed, more leave the flow without an error bound and may stop
    it. `bias`: with biases, which start at 0. `key`: for the weights, U(±1/√fan_in).
    """

    layers: tuple[Float[Array, "_ _"], ...]
    biases: tuple[Float[Array, "_"], ...] | None
    activation: str = eqx.field(static=True)

    def __init__(self, *, sizes: Sequence[int], activation: str = "gelu", bias: bool = True, key: Key):
        check_activation(activation)
        _check_layers(sizes)
        keys = jax.random.split(_checks.key(key), len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        self.layers = tuple(uniform(k, (rows, columns)) for k, columns, rows in pairs)
        self.biases = tuple(jnp.zeros(rows) for rows in sizes[1:]) if bias else None
        self.activation = activation

    def trainable(self) -> Any:
        return jax.tree.map(lambda _: True, self)

    def __call__(self, x: Float[Array, "features"]) -> Float[Array, "outputs"]:
        for i, weight in enumerate(self.layers):
            x = weight @ (ACTIVATIONS[self.activation](x) if i else x)
            x = x if self.biases is None else x + self.biases[i]
        return x


def _check_layers(sizes: Sequence[int]) -> None:
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least an input and an output size, got {list(sizes)}.")
    for size in sizes:
        _checks.count("each of sizes", size)
