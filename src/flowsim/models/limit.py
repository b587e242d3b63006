"""The paper's model in the limit of infinite width."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .model import AbstractInnerProducts, ModelTraits


class InfiniteWidthTransformer(AbstractInnerProducts):
    """m → ∞ at fixed m1 under Condition 1: attention stays uniform, and G follows logistic regression on word counts.

        dG/dτ = -∂G,   τ = σ1² m m1 t

    Time, and with it a learning rate, counts in units of 1/(σ1² m m1), in which the flow has a limit (σ0²/σ1²
    vanishes there). The weights' inner products other than G stand still: W_VᵀW_V, W_KᵀW_K and
    W_QᵀW_Q at σ0² m = c0²/L on the diagonal, W_KᵀW_Q at 0.

    **Arguments:** `vocabulary`: d. All G are 0 until `flowsim.init.theory` draws them.
    """

    traits: ClassVar[ModelTraits] = ModelTraits(words=True, limit=True)
    G: Float[Array, "vocabulary"]
    column_squared: Float[Array, ""]  # σ0² m, the squared norm of a column of W_V, W_K and W_Q
    width: float = eqx.field(static=True, default=math.inf)

    def __init__(self, *, vocabulary: int):
        if vocabulary < 1:
            raise ValueError(f"vocabulary must be at least 1, got {vocabulary}.")
        self.G, self.column_squared = jnp.zeros(vocabulary), jnp.zeros(())
        self.width = math.inf

    @property
    def vocabulary(self) -> int:
        return self.G.shape[0]

    def trainable(self) -> Any:
        still = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda m: m.G, still, True)

    def key_query(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return jnp.zeros((words.shape[0], words.shape[0]), self.column_squared.dtype)

    def value_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return self.column_squared * jnp.asarray(words[:, None] == words[None, :], self.column_squared.dtype)

    def key_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return self.value_gram(words)

    def query_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return self.value_gram(words)

    def readout_squared(self) -> Float[Array, ""]:
        raise ValueError("‖u‖² grows without bound with the width: it has no limit.")
