"""Probes of attention itself: maps, and how much of it an induction head would explain."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..models import AbstractWordModel, Transformer
from ..moment import Moment
from ._probe import Probe


def patterns(model: PyTree, tokens: Array) -> Float[Array, "heads length length"]:
    """Every head's attention of one sample, [head, key, query], layer after layer; the paper's model has one head.

    **Raises:** `ValueError` for a model whose attention is not known.
    """
    if isinstance(model, AbstractWordModel):
        return model.attention(tokens)[None]
    if isinstance(model, Transformer):
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
