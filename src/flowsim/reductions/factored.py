"""Readout, rotation and vocabulary: orthonormal coordinates of the subspace that the flow never leaves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy
import numpy as np
from jaxtyping import Array, Float, Int

from .._jit import fast_compile
from .._types import Parameters
from ..models import CooccurrenceTransformer, FactoredTransformer, traits
from ..problem import Problem
from .reduction import Reduction

_TALL = 4096  # rows from which orthonormalizing costs enough to be worth another way
_GATHER = 8  # a gathered multiply-add costs about this many dense ones


def factored(problem: Problem, name: str, reason: str, *, shrinking: bool = False) -> Reduction:
    """The reduction of a `CooccurrenceTransformer` or `FactoredTransformer` by name; each includes the ones before it.

    - `readout`: W moves along a only, so û = Wᵀa/‖a‖ stands for it; m1 leaves the cost.
    - `rotation`: the columns of W_K and W_Q stay in the span of their initial columns, and those of W_V with u; each
      side is written in an orthonormal basis of its span; m leaves the cost.
    - `vocabulary`: columns of words that no sample holds never move, and leave the state.

    With orthonormal coordinates the reduced flow is the gradient flow of the reduced risk. `shrinking`: one coordinate
    more, along the part of W(0) that is orthogonal to a, makes the subspace hold the start itself, so that it is exact
    for flows that scale all parameters as well.
    """
    model = problem.model(problem.parameters)
    words = _words(problem, drop=name == "vocabulary")
    if not traits(model).matrices:  # drawn in law, so without readout and rotation left to do
        return Reduction(name, _reduced(problem, model, words), Columns(model, jnp.asarray(words[0])), reason)
    whole, ways = _coordinates(model, rotate=name in ("rotation", "vocabulary"))
    if shrinking:
        whole = eqx.tree_at(lambda m: m.rest, whole, _outside(model), is_leaf=lambda x: x is None)
    return Reduction(
        name,
        _reduced(problem, whole, words),
        Lift(problem.parameters, *ways, jnp.asarray(words[0]), whole.rest),
        reason,
    )


@fast_compile
def _coordinates(model: CooccurrenceTransformer, *, rotate: bool):
    """The model in its factors; and â, û and the two bases, which lead back. One program: it is quick to compile."""
    a_norm = jnp.linalg.norm(model.a)
    u_hat = model.readout() / a_norm
    value, attention = _bases(model, u_hat, rotate=rotate)
    V, K, Q = _into(value, model.W_V), _into(attention, model.W_K), _into(attention, model.W_Q)
    whole = FactoredTransformer(
        u_hat=_into(value, u_hat),
        V=V,
        K=K,
        Q=Q,
        frozen=(V[:, :0], K[:, :0], Q[:, :0]),
        position=jnp.arange(model.vocabulary, dtype=jnp.int32),
        a_norm=a_norm,
        embedding=model.embedding,
        width=jnp.asarray(model.width, a_norm.dtype),
        evaluation=model.evaluation,
    )
    return whole, (model.a / a_norm, u_hat, value, attention)


@jax.jit
def _outside(model: CooccurrenceTransformer) -> Float[Array, ""]:
    """‖(I - a aᵀ/‖a‖²) W(0)‖."""
    direction = model.a / jnp.linalg.norm(model.a)
    return jnp.linalg.norm(model.W - jnp.outer(direction, direction @ model.W))


def _reduced(problem: Problem, whole: FactoredTransformer, words) -> Problem:
    """The problem in the coordinates of `whole`, with the columns of the words that do not move set aside."""
    moving, rest = words
    columns = (whole.V, whole.K, whole.Q)
    split = [_split(x, moving, rest) for x in columns]
    position = jnp.asarray(np.argsort(np.concatenate([moving, rest])), jnp.int32)
    small = eqx.tree_at(
        lambda m: (m.V, m.K, m.Q, m.frozen, m.position),
        whole,
        (*(x for x, _ in split), tuple(x for _, x in split), position),
    )
    small = dataclasses.replace(small, evaluation=_cheaper(problem, len(moving)))
    return problem.restated(small, _without_embedding(problem.samples))


@fast_compile
def _split(x, moving, rest):
    return x[:, moving], x[:, rest]


class Columns(eqx.Module):
    """The columns of the words that move, put back among the others. **Fields:** `start`: the model at t = 0."""

    start: FactoredTransformer
    moving: Int[Array, "moving"]

    def __call__(self, parameters: Parameters) -> Parameters:
        start = eqx.filter(self.start, self.start.trainable())
        pairs = ((start.V, parameters.V), (start.K, parameters.K), (start.Q, parameters.Q))
        new = (parameters.u_hat, *(x.at[:, self.moving].set(y) for x, y in pairs))
        return eqx.tree_at(lambda p: (p.u_hat, p.V, p.K, p.Q), start, new)


class Lift(eqx.Module):
    """All parameters back from the factors: W = s W(0) + â (û - s û(0))ᵀ, and each basis times its factor. What of W
    is orthogonal to a has shrunk to s of its size, 1 for a flow that leaves it alone.

    **Fields:** `start`: the original parameters at t = 0; `direction`: â = a/‖a‖; `u_hat`: û(0); `value`,
    `attention`: the bases, None for the identity; `moving`: words whose columns are in the state; `rest`: the size of
    W(0) orthogonal to a, None where it stays.
    """

    start: Parameters
    direction: Float[Array, "neurons"]
    u_hat: Float[Array, "width"]
    value: Float[Array, "width rank_v"] | None
    attention: Float[Array, "width rank_k"] | None
    moving: Int[Array, "moving"]
    rest: Float[Array, ""] | None

    def __call__(self, parameters: Parameters) -> Parameters:
        before, u_hat = self.start.W, self.u_hat
        if self.rest is not None:
            left = jnp.where(self.rest > 0, parameters.rest / jnp.where(self.rest > 0, self.rest, 1), 1)
            before, u_hat = left * before, left * u_hat
        new = (
            before + jnp.outer(self.direction, _out_of(self.value, parameters.u_hat) - u_hat),
            self._columns(self.start.W_V, self.value, parameters.V),
            self._columns(self.start.W_K, self.attention, parameters.K),
            self._columns(self.start.W_Q, self.attention, parameters.Q),
        )
        return eqx.tree_at(lambda p: (p.W, p.W_V, p.W_K, p.W_Q), self.start, new)

    def _columns(self, start, basis, factor):
        return start.at[:, self.moving].set(_out_of(basis, factor))


def _bases(model: CooccurrenceTransformer, u_hat, *, rotate: bool):
    """Orthonormal bases of [u W_V] and [W_K W_Q] at t = 0, or None where they would span everything."""
    if not rotate:
        return None, None
    value = jnp.concatenate([u_hat[:, None], model.W_V], axis=1)
    attention = jnp.concatenate([model.W_K, model.W_Q], axis=1)
    return tuple(_orthonormal(x) if x.shape[0] > x.shape[1] else None for x in (value, attention))


def _orthonormal(x: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """An orthonormal basis that holds the columns of x.

    Householder's Q is orthonormal also where columns are dependent; its span then only is larger than needed. Of a tall
    x whose columns are far from that, as random ones are, two rounds of Cholesky give one as exact in a third of the
    time (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015, ETNA 44, 306-326).
    """
    if x.shape[0] < _TALL:
        return jnp.linalg.qr(x)[0]
    once = _cholesky_round(x, x.T @ x)
    gram = once.T @ once
    # Entry by entry: False where one is not a number, which XLA's maximum on a CPU passes over.
    near = jnp.all(jnp.abs(gram - jnp.eye(len(gram), dtype=x.dtype)) < 0.1)
    return jax.lax.cond(near, lambda: _cholesky_round(once, gram), lambda: jnp.linalg.qr(x)[0])


def _cholesky_round(x, gram):
    upper = jnp.linalg.cholesky(gram, upper=True)
    return x @ jax.scipy.linalg.solve_triangular(upper, jnp.eye(len(gram), dtype=x.dtype))


def _into(basis, x):
    return x if basis is None else basis.T @ x


def _out_of(basis, x):
    return x if basis is None else basis @ x


def _words(problem: Problem, *, drop: bool):
    """Words whose columns move, and the others."""
    every = np.arange(problem.samples.vocabulary)
    if not drop:
        return every, every[:0]
    seen = np.isin(every, np.asarray(problem.samples.tokens))
    return every[seen], every[~seen]


def unseen(problem: Problem) -> int:
    """How many words no sample holds; 0 with an embedding matrix, which mixes all columns."""
    if problem.model(problem.parameters).embedding is not None:
        return 0
    return len(_words(problem, drop=True)[1])


def _cheaper(problem: Problem, words: int):
    """Scores of all pairs of words at once, or of each sample's pairs?"""
    task = problem.samples
    return "sample" if _GATHER * task.samples * task.length**2 < words**2 else "vocabulary"


def _without_embedding(task):
    """The reduced model already holds the embedding; a task that holds it too would set it again."""
    return eqx.tree_at(lambda t: t.embedding, task, None, is_leaf=lambda x: x is None)
