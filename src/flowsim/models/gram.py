"""The paper's model by inner products of words alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .model import AbstractInnerProducts


class GramTransformer(AbstractInnerProducts):
    """G, c = ‖u‖², A = W_KᵀW_Q and the Gram matrices of W_V, W_K, W_Q (paper, Appendix C).

    A prediction needs G and A only; the others carry the metric in which they move.
    """

    G: Float[Array, "vocabulary"]
    c: Float[Array, ""]
    A: Float[Array, "vocabulary vocabulary"]
    VV: Float[Array, "vocabulary vocabulary"]
    KK: Float[Array, "vocabulary vocabulary"]
    QQ: Float[Array, "vocabulary vocabulary"]
    m: Float[Array, ""]  # the width, which only scales the scores

    @property
    def width(self) -> Float[Array, ""]:
        return self.m

    def trainable(self) -> Any:
        every = jax.tree.map(lambda _: True, self)
        return eqx.tree_at(lambda model: model.m, every, False)

    def key_query(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return _among(self.A, words)

    def value_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return _among(self.VV, words)

    def key_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return _among(self.KK, words)

    def query_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return _among(self.QQ, words)

    def readout_squared(self) -> Float[Array, ""]:
        return jnp.asarray(self.c)


def _among(matrix, words):
    return matrix[words[:, None], words[None, :]]
