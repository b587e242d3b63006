"""A transformer of any depth, of which the paper's is one layer with one head."""

import functools
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from .._types import Key
from .attention import Head, Kind
from .linear import ACTIVATIONS, check_activation, check_sizes, uniform
from .model import AbstractModel

Position = Literal["none", "learned", "one_hot"]
Readout = Literal["sum", "mean", "last", "each"]
_NORM_EPSILON = 1e-5


class Norm(eqx.Module):
    """Layer normalization over the features of one position, with a gain and a shift."""

    gain: Float[Array, "width"]
    shift: Float[Array, "width"]

    def __init__(self, width: int):
        self.gain, self.shift = jnp.ones(width), jnp.zeros(width)

    def __call__(self, x: Float[Array, "length width"]) -> Float[Array, "length width"]:
        centered = x - jnp.mean(x, axis=1, keepdims=True)
        variance = jnp.mean(centered**2, axis=1, keepdims=True)
        return self.gain * centered / jnp.sqrt(variance + _NORM_EPSILON) + self.shift


class Block(eqx.Module):
    """Attention, then a layer of neurons.

    Without residual, `x <- W_out φ(Σ_heads)`: the heads end in the neurons (their W_O is the paper's W), and the last
    block has no W_out. With residual, `x <- x + Σ_heads`, then `x <- x + W_out φ(W x)`; W is None without neurons.
    """

    heads: tuple[Head, ...]
    W: Float[Array, "neurons stream"] | None
    W_out: Float[Array, "stream neurons"] | None
    norms: tuple[Norm, ...] | None  # before the attention and, with residual, before the neurons


class Transformer(AbstractModel):
    """An unbatched transformer.

    With one layer, one head, linear neurons, no residual and the readout `sum` it is the paper's model (Equation 1):
    `blocks[0].heads[0]` holds its W (as W_O), W_V, W_K and W_Q, and `a` its a.

    **Arguments:**

    - `vocabulary`: words d of token inputs; None for inputs that are vectors.
    - `features`: size of vector inputs; None for tokens.
    - `outputs`: None for one number; else how many (the vocabulary, for next-token prediction).
    - `layers`, `heads`: how many; `width`: of all heads of a layer together, so each has width/heads.
    - `neurons`: of each layer's MLP; None for attention alone, which needs `residual`.
    - `activation`: a name in `models.linear.ACTIVATIONS`.
    - `residual`: add each part's output to the stream, which then has `width` features.
    - `layer_norm`: normalise the input of each part.
    - `causal`: a query sees no later position.
    - `embedding`: `one_hot` words, or `learned` vectors of `width`; with residual always learned (a linear map of
      vector inputs).
    - `position`: `none`; `learned`: a vector for each position is added; `one_hot`: appended to the input.
    - `length`: positions; needed for `position` only.
    - `attention`: `softmax`, or `linear`: the scores divided by √(head width) and by the number of keys.
    - `merged`: one matrix W_KQ for W_Kᵀ W_Q.
    - `scaled`: divide the scores by √(head width).
    - `readout`: `sum` or `mean` over positions, the `last` position, or `each` position for itself.
    - `train_readout`: train `a`; the paper does not, and then a single output's `a` is ±1.
    - `key`: for all weights, U(±1/√fan_in).

    **Raises:** `ValueError` for sizes or options that do not go together.
    """

    embedding: Float[Array, "stream inputs"] | None
    positions: Float[Array, "length stream"] | None
    blocks: tuple[Block, ...]
    final_norm: Norm | None
    a: Float[Array, "*outputs last"]
    vocabulary: int | None = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    residual: bool = eqx.field(static=True)
    causal: bool = eqx.field(static=True)
    position: Position = eqx.field(static=True)
    length: int | None = eqx.field(static=True)
    kind: Kind = eqx.field(static=True)
    readout: Readout = eqx.field(static=True)
    train_readout: bool = eqx.field(static=True)

    def __init__(
        self,
        *,
        vocabulary: int | None = None,
        features: int | None = None,
        outputs: int | None = None,
        layers: int = 1,
        heads: int = 1,
        width: int,
        neurons: int | None = None,
        activation: str = "linear",
        residual: bool = False,
        layer_norm: bool = False,
        causal: bool = False,
        embedding: Literal["one_hot", "learned"] = "one_hot",
        position: Position = "none",
        length: int | None = None,
        attention: Kind = "softmax",
        merged: bool = False,
        scaled: bool = True,
        readout: Readout = "sum",
        train_readout: bool = False,
        key: Key,
    ):
        check_sizes(layers=layers, heads=heads, width=width, outputs=outputs or 1, neurons=neurons or 1)
        check_activation(activation)
        _check(vocabulary, features, heads, width, neurons, residual, position, length)
        self.vocabulary, self.activation, self.residual, self.causal = vocabulary, activation, residual, causal
        self.position, self.length, self.kind = position, length, attention
        self.readout, self.train_readout = readout, train_readout
        key_embedding, key_positions, key_a, key_blocks = jax.random.split(_checks.key(key), 4)
        inputs = (vocabulary or features or 0) + (length or 0) * (position == "one_hot")
        stream = width if residual or embedding == "learned" else inputs
        self.embedding = None if embedding == "one_hot" and not residual else uniform(key_embedding, (stream, inputs))
        learned = position == "learned"
        self.positions = uniform(key_positions, (length or 1, stream)) if learned else None
        self.blocks = tuple(
            _block(
                k, stream if i == 0 or residual else width, width, heads, neurons, residual, layer_norm, merged, scaled,
                last=i == layers - 1,
            )
            for i, k in enumerate(jax.random.split(key_blocks, layers))
        )  # fmt: skip
        last = width if residual or neurons is None else neurons
        self.final_norm = Norm(last) if layer_norm and residual else None
        if outputs is None and not train_readout:
            self.a = jax.random.rademacher(key_a, (last,), jnp.zeros(()).dtype)
        else:
            self.a = uniform(key_a, (last,) if outputs is None else (outputs, last))

    def trainable(self) -> Any:
        everything = jax.tree.map(lambda _: True, self)
        return eqx.tree_at(lambda m: m.a, everything, self.train_readout)

    def stream(self, tokens: Int[Array, "length"] | Float[Array, "length features"]) -> Float[Array, "length stream"]:
        """What the first block gets."""
        dtype = self.a.dtype
        if self.vocabulary is not None:
            x = jax.nn.one_hot(tokens, self.vocabulary, dtype=dtype)
        else:
            x = jnp.asarray(tokens, dtype)
        if self.position == "one_hot":
            x = jnp.concatenate([x, jnp.eye(x.shape[0], self.length, dtype=dtype)], axis=1)
        x = x if self.embedding is None else x @ self.embedding.T
        return x if self.positions is None else x + self.positions[: x.shape[0]]

    def attention(
        self, tokens: Int[Array, "length"] | Float[Array, "length features"]
    ) -> Float[Array, "layers heads length length"]:
        """Every head's attention of one sample, indexed [layer, head, key, query]."""
        x, found = self.stream(tokens), []
        for block in self.blocks:
            here = _normed(block, 0, x)
            found.append(jnp.stack([head.pattern(here, self.kind, self.causal) for head in block.heads]))
            x = self._after(block, x)
        return jnp.stack(found)

    def __call__(self, tokens: Int[Array, "length"] | Float[Array, "length features"]) -> Float[Array, "..."]:
        x = self.stream(tokens)
        for block in self.blocks:
            x = self._after(block, x)
        x = x if self.final_norm is None else self.final_norm(x)
        each = x @ self.a.T  # (length,) or (length, outputs)
        if self.readout == "each":
            return each
        if self.readout == "last":
            return each[-1]
        return jnp.sum(each, axis=0) if self.readout == "sum" else jnp.mean(each, axis=0)

    def _after(self, block: Block, x):
        here, phi = _normed(block, 0, x), ACTIVATIONS[self.activation]
        heads = functools.reduce(jnp.add, [head(here, self.kind, self.causal) for head in block.heads])
        if not self.residual:
            hidden = phi(heads)
            return hidden if block.W_out is None else hidden @ block.W_out.T
        x = x + heads
        if block.W is None or block.W_out is None:
            return x
        return x + phi(_normed(block, 1, x) @ block.W.T) @ block.W_out.T


def _normed(block: Block, which: int, x):
    return x if block.norms is None else block.norms[which](x)


def _block(key, inputs, width, heads, neurons, residual, layer_norm, merged, scaled, *, last) -> Block:
    key_W, key_out, *keys = jax.random.split(key, heads + 2)
    ends = width if residual else neurons  # where the heads end
    sizes = {"inputs": inputs, "rank": width // heads, "outputs": ends}
    made = tuple(Head(**sizes, merged=merged, scaled=scaled, key=k) for k in keys)
    W = uniform(key_W, (neurons, width)) if residual and neurons is not None else None
    W_out = uniform(key_out, (width, neurons)) if neurons is not None and (residual or not last) else None
    norms = (Norm(inputs), Norm(width)) if residual and neurons is not None else (Norm(inputs),)
    return Block(made, W, W_out, norms if layer_norm else None)


def _check(vocabulary, features, heads, width, neurons, residual, position, length) -> None:
    if (vocabulary is None) == (features is None):
        raise ValueError("give either vocabulary, for tokens, or features, for vectors.")
    if width % heads:
        raise ValueError(
            f"width must be divisible by heads, got {width} and {heads}: take {heads * (width // heads + 1)}."
        )
    if neurons is None and not residual:
        raise ValueError("without residual the heads end in the neurons: give neurons, or set residual=True.")
    if position != "none" and length is None:
        raise ValueError(f"position {position!r} needs length, the number of positions.")
