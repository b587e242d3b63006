"""What every flowsim model is, and what the models of the paper's family have in common."""

import abc
import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True)
class ModelTraits:
    """What the rest of flowsim may rely on of a model. The defaults claim nothing, and hold for any model.

    **Fields:**

    - `words`: it has the methods of `AbstractWordModel`.
    - `matrices`: the paper's W, W_V, W_K, W_Q and a are its arrays, and `evaluated_by` is its method.
    - `limit`: it is the limit of infinite width.
    - `given`: arrays of it that the task gives, and that are no parameters.
    - `sigma0`, `sigma1`: trained arrays that σ0 and σ1 scale in a Gaussian start.
    """

    words: bool = False
    matrices: bool = False
    limit: bool = False
    given: tuple[str, ...] = ()
    sigma0: tuple[str, ...] = ()
    sigma1: tuple[str, ...] = ()


class AbstractModel(eqx.Module):
    """An unbatched Equinox module that says which of its arrays are trained.

    A user's model need not inherit from it: of any other Equinox module every inexact array is trained.
    """

    traits: ClassVar[ModelTraits] = ModelTraits()

    @abc.abstractmethod
    def trainable(self) -> Any:
        """A pytree of bools of this model's structure (or a prefix of it): True where an array is trained."""


class AbstractWordModel(AbstractModel):
    """The paper's model (Equation 1) in any coordinates: its prediction depends on the inner products of words only.

    With G the linear MLP function of the words and A = W_Kᵀ W_Q their scores,

        F(X) = Σ_l Σ_k G(x_k) softmax_k( A[x_k, x_l] / √m ).

    Probes, events and claims are written against these methods, so they hold for the full model and for every exact
    reduction of it.
    """

    traits: ClassVar[ModelTraits] = ModelTraits(words=True)
    width: eqx.AbstractVar[Any]  # a number, or an array that is one

    @abc.abstractmethod
    def values(self, tokens: Int[Array, "length"]) -> Float[Array, "length"]:
        """G of the words of one sample."""

    @abc.abstractmethod
    def scores(self, tokens: Int[Array, "length"]) -> Float[Array, "length length"]:
        """A[key, query] of the words of one sample, not divided by √m."""

    @abc.abstractmethod
    def alignment(self) -> Float[Array, "vocabulary"]:
        """G(μ) = Σ_j a_j w_jᵀ W_V μ of every word."""

    @abc.abstractmethod
    def key_query(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        """W_KᵀW_Q among the given words, indexed [key, query]."""

    @abc.abstractmethod
    def value_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        """W_VᵀW_V among the given words."""

    @abc.abstractmethod
    def key_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        """W_KᵀW_K among the given words."""

    @abc.abstractmethod
    def query_gram(self, words: Int[Array, "words"]) -> Float[Array, "words words"]:
        """W_QᵀW_Q among the given words."""

    @abc.abstractmethod
    def readout_squared(self) -> Float[Array, ""]:
        """‖u‖² with u = Wᵀa."""

    def attention(self, tokens: Int[Array, "length"]) -> Float[Array, "length length"]:
        """Attention probabilities of one sample, indexed [key, query]; every column sums to 1."""
        return jax.nn.softmax(self.scores(tokens) / jnp.sqrt(self.width), axis=0)

    def __call__(self, tokens: Int[Array, "length"]) -> Float[Array, ""]:
        """F(X) of one sample: the sum over the query positions (Equation 1)."""
        return jnp.sum(self.values(tokens) @ self.attention(tokens))


class AbstractInnerProducts(AbstractWordModel):
    """The paper's model where G of every word is at hand, and the rest by inner products of words."""

    G: eqx.AbstractVar[Float[Array, "vocabulary"]]

    def values(self, tokens: Int[Array, "length"]) -> Float[Array, "length"]:
        return self.G[tokens]

    def scores(self, tokens: Int[Array, "length"]) -> Float[Array, "length length"]:
        return self.key_query(tokens)

    def alignment(self) -> Float[Array, "vocabulary"]:
        return self.G


def trained(model: Any) -> Any:
    """Which arrays of any model are trained: a pytree of bools of its structure, or a prefix of it."""
    return model.trainable() if isinstance(model, AbstractModel) else jax.tree.map(eqx.is_inexact_array, model)


def traits(model: Any) -> ModelTraits:
    """The traits of any model; of one that is not flowsim's nothing is known."""
    return model.traits if isinstance(model, AbstractModel) else ModelTraits()
