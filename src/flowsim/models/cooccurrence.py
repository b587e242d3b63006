"""The paper's transformer (Equation 1), with every parameter of it."""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .. import _checks
from .._types import Key
from .model import AbstractWordModel, ModelTraits


class CooccurrenceTransformer(AbstractWordModel):
    """One softmax attention layer with separate key and query matrices, and a linear MLP.

        F(X) = Σ_l Σ_j a_j · w_jᵀ W_V X · softmax( Xᵀ W_Kᵀ W_Q x_l / √m )

    No causal mask, no residual, no normalization, a sum over the query positions; the softmax runs over keys.

    **Arguments:**

    - `vocabulary`, `width`, `neurons`: d, m, m1.
    - `embedding`: (vocabulary, vocabulary), one column for each word; None for one-hot words. Never trained.
    - `evaluation`: "vocabulary" forms the scores of all pairs of words once and looks pairs up; "sample" forms only
      those of each sample's pairs, which is cheaper for large vocabularies. Same values.
    - `key`: random key for `a` (uniform on ±1, never trained) and for the weights, U(±1/√fan_in) as PyTorch draws
      linear layers; functions of `flowsim.init` draw the weights anew.

    **Reference:** Yang, Kailkhura, Wang, Liang (2024), Equation 1.
    """

    traits: ClassVar[ModelTraits] = ModelTraits(
        words=True, matrices=True, given=("embedding",), sigma0=("W_V", "W_K", "W_Q"), sigma1=("W",)
    )
    W: Float[Array, "neurons width"]
    W_V: Float[Array, "width vocabulary"]
    W_K: Float[Array, "width vocabulary"]
    W_Q: Float[Array, "width vocabulary"]
    a: Float[Array, "neurons"]
    embedding: Float[Array, "vocabulary vocabulary"] | None
    evaluation: Literal["vocabulary", "sample"] = eqx.field(static=True)

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        neurons: int,
        embedding: Float[Array, "vocabulary vocabulary"] | None = None,
        evaluation: Literal["vocabulary", "sample"] = "vocabulary",
        key: Key,
    ):
        for name, size in (("vocabulary", vocabulary), ("width", width), ("neurons", neurons)):
            _checks.count(name, size)
        key_a, key_W, key_V, key_K, key_Q = jax.random.split(_checks.key(key), 5)
        self.W = _uniform(key_W, (neurons, width), width)
        self.W_V, self.W_K, self.W_Q = (_uniform(k, (width, vocabulary), vocabulary) for k in (key_V, key_K, key_Q))
        self.a = jax.random.rademacher(key_a, (neurons,), jnp.zeros(()).dtype)
        self.embedding = embedding
        self.evaluation = evaluation

    @property
    def width(self) -> int:
        return self.W.shape[1]

    @property
    def neurons(self) -> int:
        return self.W.shape[0]

    @property
    def vocabulary(self) -> int:
        return self.W_V.shape[1]

    def trainable(self) -> Any:
        frozen = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda m: (m.W, m.W_V, m.W_K, m.W_Q), frozen, (True,) * 4)

    def evaluated_by(self, evaluation: Literal["vocabulary", "sample"]) -> "CooccurrenceTransformer":
        """The same model, with its scores formed in the other way."""
        new = object.__new__(type(self))
        for field in dataclasses.fields(self):
            object.__setattr__(new, field.name, getattr(self, field.name))
        object.__setattr__(new, "evaluation", evaluation)
        return new

    def readout(self) -> Float[Array, "width"]:
        """u = Wᵀa."""
        return self.W.T @ self.a

    def values(self, tokens: Int[Array, "length"]) -> Float[Array, "length"]:
        return self.alignment()[tokens]  # cheaper than gathering the columns of each sample

    def scores(self, tokens: Int[Array, "length"]) -> Float[Array, "length length"]:
        if self.evaluation == "sample":
            return self.key_query(tokens)
        everything = columns(self.W_K, self.embedding).T @ columns(self.W_Q, self.embedding)
        return everything[tokens[:, None], tokens[None, :]]

    def alignment(self) -> Float[Array, "vocabulary"]:
        return self.readout() @ columns(self.W_V, self.embedding)

    def key_query(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return columns(self.W_K, self.embedding, words).T @ columns(self.W_Q, self.embedding, words)

    def value_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(columns(self.W_V, self.embedding, words))

    def key_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(columns(self.W_K, self.embedding, words))

    def query_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(columns(self.W_Q, self.embedding, words))

    def readout_squared(self) -> Float[Array, ""]:
        return jnp.sum(self.readout() ** 2)

    def a_squared(self) -> Float[Array, ""]:
        """‖a‖²."""
        return jnp.sum(self.a**2)


def columns(
    matrix: Float[Array, "rows vocabulary"], embedding, words: Array | slice = slice(None)
) -> Float[Array, "rows words"]:
    """Images of the given words: columns of `matrix`, or of `matrix @ embedding` when words are not one-hot."""
    if embedding is not None:
        return matrix @ embedding[:, words]
    # Rows of the transpose lie together in memory: gathering them, and adding to them, is faster than columns.
    return matrix if isinstance(words, slice) else matrix.T[words].T


def gram(x: Float[Array, "rows words"]) -> Float[Array, "words words"]:
    """XᵀX."""
    return x.T @ x


def _uniform(key, shape, fan_in):
    bound = 1 / math.sqrt(fan_in)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
