"""Probes of attention itself: maps, and how much of it an induction head would explain."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num, PyTree

from ..models import AbstractWordModel, Transformer
from ..moment import Moment
from .probe import Probe


def patterns(model: PyTree, tokens: Array) -> Float[Array, "heads length length"]:
    """Every head's attention of one sample, [head, key, query], layer after layer; the paper's model has one head.

    **Raises:** `ValueError` for a model whose attention is not known.
    """
    match model:
        case AbstractWordModel():
            return model.attention(tokens)[None]
        case Transformer():
            found = model.attention(tokens)
            return found.reshape(-1, *found.shape[2:])
    raise ValueError(
        f"attention is known of flowsim.models' transformers, not of {type(model).__name__}: write a probe of your own."
    )


class _Map(eqx.Module):
    sample: int | None = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "heads length length"]:
        tokens = moment.problem.samples.tokens
        if self.sample is None:
            return jnp.mean(jax.vmap(lambda x: patterns(moment.model, x))(tokens), axis=0)
        if self.sample >= len(tokens):
            raise ValueError(f"attention_map: there is no sample {self.sample}; the last one is {len(tokens) - 1}.")
        return patterns(moment.model, tokens[self.sample])


def attention_map(sample: int | None = None) -> Probe:
    """What every head attends to: `attention_map(time, head, key_position, query_position)`.

    Softmax attention adds up to 1 over the keys. The figure `attention_maps` shows it over time.

    **Arguments:** `sample`: number of a training sample; None for the mean over all of them, position by position,
    which says little where words are placed at random.

    **Raises:** `ValueError` for a negative number, and at the start of a run for one that no sample has or for a model
    whose attention is not known.
    """
    if sample is not None and sample < 0:
        raise ValueError(f"sample must be at least 0, got {sample}.")
    of = "mean over the training samples" if sample is None else f"sample {sample}"
    return Probe("attention_map", ("head", "key_position", "query_position"),
                 f"attention of each head, {of}", "1", _Map(sample))  # fmt: skip


class _Induction(eqx.Module):
    tokens: Int[Array | np.ndarray, "samples length"]
    wanted: Int[Array | np.ndarray, "samples length"]  # key position of each query; -1 where there is none

    def __call__(self, moment: Moment) -> Float[Array, "heads"]:
        model = moment.user_parameters
        maps = jax.vmap(lambda x: patterns(model, x))(self.tokens)  # sample, head, key, query
        there = (self.wanted >= 0)[:, None, :]
        found = jnp.take_along_axis(maps, jnp.maximum(self.wanted, 0)[:, None, None, :], axis=2)[:, :, 0, :]
        return jnp.sum(jnp.where(there, found, 0.0), axis=(0, 2)) / jnp.sum(there)


def induction_score(tokens: Num[Array | np.ndarray, "..."]) -> Probe:
    """How much every head looks where an induction head would: `induction_score(time, head)`.

        score = mean over pairs (p, q) of attention[key p + 1, query q]

    A pair is the first and the second occurrence, at positions p < q, of one word in one sequence: the head that
    copies "what came after this word last time" looks from q at p + 1. Third and later occurrences do not count, nor
    do pairs with q = p + 1, where the place looked for is the query itself. All pairs weigh the same. Softmax attention
    gives 1 for a perfect induction head; one that attends to all L positions alike gives 1/L.

    **Arguments:** `tokens`: sequences to measure on, (samples, length): `task.tokens`, or random words repeated once,
    as in the reference, of the model's vocabulary.

    **Raises:** `ValueError` if the sequences hold no such pair.

    **Reference:** Olsson et al. (2022), In-context learning and induction heads, section on prefix matching.
    """
    words = np.asarray(tokens)
    if words.ndim != 2 or not np.issubdtype(words.dtype, np.integer):
        raise ValueError("induction_score needs sequences of words: an array of integers, (samples, length).")
    wanted = _after_first(words)
    if not np.any(wanted >= 0):
        raise ValueError(
            "induction_score: no word occurs a second time, two or more places after its first: take longer "
            "sequences, fewer words, or random words repeated once."
        )
    text = "mean attention from a word's second occurrence to the position after its first"
    return Probe("induction_score", ("head",), text, "1", _Induction(words, wanted))


def _after_first(words: np.ndarray) -> np.ndarray:
    """For each position that holds a word for the second time, the position after its first; else -1."""
    earlier = np.tril(words[:, :, None] == words[:, None, :], -1)  # [sample, q, p]: the same word at p < q
    first = np.argmax(earlier, axis=2)
    second = (earlier.sum(axis=2) == 1) & (first + 1 < np.arange(words.shape[1]))
    return np.where(second, first + 1, -1)
