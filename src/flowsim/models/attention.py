"""Attention heads, the parts of a transformer's block."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key
from .linear import uniform

Kind = Literal["softmax", "linear"]


class Head(eqx.Module):
    """One attention head: Σ_k W_O W_V x_k · p[k, q] at every query position q.

    Scores are x_kᵀ W_Kᵀ W_Q x_q / √(head width), or x_kᵀ W_KQ x_q / √(head width) where key and query are merged; where
    `scaled` is False nothing divides them.
    Each head has arrays of its own: so each has invariants of its own, which are found without being named.

    **Fields:** `W_O` (outputs, head width), `W_V` (head width, inputs); `W_K`, `W_Q` (head width, inputs), or
    `W_KQ` (inputs, inputs).
    """

    W_O: Float[Array, "outputs rank"]
    W_V: Float[Array, "rank inputs"]
    W_K: Float[Array, "rank inputs"] | None
    W_Q: Float[Array, "rank inputs"] | None
    W_KQ: Float[Array, "inputs inputs"] | None
    scaled: bool = eqx.field(static=True)

    def __init__(self, *, inputs: int, rank: int, outputs: int, merged: bool, scaled: bool = True, key: Key):
        key_O, key_V, key_K, key_Q = jax.random.split(key, 4)
        self.W_O, self.W_V = uniform(key_O, (outputs, rank)), uniform(key_V, (rank, inputs))
        self.W_K = None if merged else uniform(key_K, (rank, inputs))
        self.W_Q = None if merged else uniform(key_Q, (rank, inputs))
        self.W_KQ = uniform(key_K, (inputs, inputs)) if merged else None
        self.scaled = scaled

    def scores(self, x: Float[Array, "length inputs"]) -> Float[Array, "length length"]:
        """Scores of all pairs of positions, indexed [key, query], divided by √(head width) if `scaled`."""
        if self.W_KQ is not None:
            raw = x @ self.W_KQ @ x.T
        else:
            assert self.W_K is not None
            assert self.W_Q is not None
            raw = (x @ self.W_K.T) @ (x @ self.W_Q.T).T
        return raw / jnp.sqrt(self.W_V.shape[0]) if self.scaled else raw

    def pattern(self, x: Float[Array, "length inputs"], kind: Kind, causal: bool) -> Float[Array, "length length"]:
        """What position k gives to position q, indexed [key, query].

        `softmax`: probabilities over the keys. `linear`: the scores over the number of keys that q sees.
        """
        scores = self.scores(x)
        length = x.shape[0]
        seen = jnp.triu(jnp.ones((length, length), bool)) if causal else jnp.ones((length, length), bool)
        if kind == "softmax":
            return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=0)
        return jnp.where(seen, scores, 0.0) / jnp.sum(seen, axis=0)

    def __call__(self, x: Float[Array, "length inputs"], kind: Kind, causal: bool) -> Float[Array, "length outputs"]:
        return (self.pattern(x, kind, causal).T @ (x @ self.W_V.T)) @ self.W_O.T
