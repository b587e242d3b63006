"""The paper's model in orthonormal coordinates, with far fewer of them."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .cooccurrence import columns, gram
from .model import AbstractWordModel, ModelTraits


class _NeverFormed:
    """A matrix that this model does not have: asking for it says why, and what to do."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        raise ValueError(
            f"{self.name} is never formed in this model: only its coordinates are drawn, at any width. Take probes "
            "and events of inner products (alignment, key_query, value_gram, …), or a width at which a "
            "CooccurrenceTransformer fits into memory."
        )


class FactoredTransformer(AbstractWordModel):
    """W only through û = Wᵀa/‖a‖, and W_V, W_K, W_Q in coordinates of the subspaces that they never leave.

        G(μ) = ‖a‖ ûᵀ V μ,   A = KᵀQ

    The coordinates are orthonormal, so the flow of (û, V, K, Q) is the gradient flow of the same risk, and distances in
    it are distances of the full parameters (docs: mathematics). √m keeps the original width.

    The exact reductions make it from a `CooccurrenceTransformer`; `of_size` makes one of any width, whose Gaussian
    initialization is equal in law to that of the matrices, which then are never formed.

    **Fields:** `u_hat`, `V`: value side, `K`, `Q`: attention side, for the words that move; `frozen`: the same columns
    (V, K, Q) of the words that no sample holds; `position`: word -> column, moving words first; `a_norm`: ‖a‖;
    `width`: m of the matrices that it stands for, an array so that one compiled program serves all widths; `rest`:
    coordinate along the part of W(0) that is orthogonal to a, which no gradient moves and a decay shrinks; None for a
    flow that leaves it alone.
    """

    traits: ClassVar[ModelTraits] = ModelTraits(words=True, sigma0=("V", "K", "Q"), sigma1=("u_hat",))
    u_hat: Float[Array, "rank_v"]
    V: Float[Array, "rank_v moving"]
    K: Float[Array, "rank_k moving"]
    Q: Float[Array, "rank_k moving"]
    frozen: tuple[Float[Array, "rank_v rest"], Float[Array, "rank_k rest"], Float[Array, "rank_k rest"]]
    position: Int[Array, "vocabulary"]
    a_norm: Float[Array, ""]
    embedding: Float[Array, "vocabulary vocabulary"] | None
    width: Float[Array, ""]
    evaluation: Literal["vocabulary", "sample"] = eqx.field(static=True)
    rest: Float[Array, ""] | None = None

    W, W_V, W_K, W_Q = _NeverFormed(), _NeverFormed(), _NeverFormed(), _NeverFormed()

    @classmethod
    def of_size(cls, *, vocabulary: int, width: int, neurons: int) -> "FactoredTransformer":
        """The paper's model at any width, with all weights 0 until a function of `flowsim.init` draws them.

        Memory and time do not depend on `width` beyond 2 · vocabulary, nor on `neurons`: 10⁹ of each are as cheap.

        **Arguments:** `vocabulary`, `width`, `neurons`: d, m, m1, each at least 1.
        """
        for name, size in (("vocabulary", vocabulary), ("width", width), ("neurons", neurons)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        value = jnp.zeros((min(width, vocabulary + 1), vocabulary))
        attention = jnp.zeros((min(width, 2 * vocabulary), vocabulary))
        return cls(
            u_hat=value[:, 0],
            V=value,
            K=attention,
            Q=attention,
            frozen=(value[:, :0], attention[:, :0], attention[:, :0]),
            position=jnp.arange(vocabulary, dtype=jnp.int32),
            a_norm=jnp.sqrt(jnp.asarray(neurons, value.dtype)),
            embedding=None,
            width=jnp.asarray(width, value.dtype),
            evaluation="vocabulary",
        )

    @property
    def vocabulary(self) -> int:
        return self.position.shape[0]

    @property
    def neurons(self) -> Float[Array, ""]:
        """m1 = ‖a‖², for a of ±1."""
        return self.a_norm**2

    def trainable(self) -> Any:
        still = jax.tree.map(lambda _: False, self)
        moves = eqx.tree_at(lambda m: (m.u_hat, m.V, m.K, m.Q), still, (True,) * 4)
        return moves if self.rest is None else eqx.tree_at(lambda m: m.rest, moves, replace=True)

    def values(self, tokens: Int[Array, "length"]) -> Float[Array, "length"]:
        # One product with every column costs less than gathering those of each sample.
        return (self.a_norm * (self.u_hat @ columns(self.V, self.embedding)))[self.position[tokens]]

    def scores(self, tokens: Int[Array, "length"]) -> Float[Array, "length length"]:
        places = self.position[tokens]
        if self.evaluation == "sample":
            return columns(self.K, self.embedding, places).T @ columns(self.Q, self.embedding, places)
        everything = columns(self.K, self.embedding).T @ columns(self.Q, self.embedding)
        return everything[places[:, None], places[None, :]]

    def alignment(self) -> Float[Array, "vocabulary"]:
        every = jnp.arange(self.position.shape[0])
        return self.a_norm * (self.u_hat @ self._images(self.V, 0, every))

    def key_query(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return self._images(self.K, 1, words).T @ self._images(self.Q, 2, words)

    def value_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(self._images(self.V, 0, words))

    def key_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(self._images(self.K, 1, words))

    def query_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        return gram(self._images(self.Q, 2, words))

    def readout_squared(self) -> Float[Array, ""]:
        return self.a_norm**2 * jnp.sum(self.u_hat**2)

    def readout(self) -> Float[Array, "rank_v"]:
        """u = Wᵀa, in the coordinates of the value side."""
        return self.a_norm * self.u_hat

    def a_squared(self) -> Float[Array, ""]:
        """‖a‖²."""
        return self.a_norm**2

    def _images(self, moving, which, words):
        """Columns of any words, moving or not."""
        whole = jnp.concatenate([moving, self.frozen[which]], axis=1)
        return columns(whole, self.embedding, self.position[words])
