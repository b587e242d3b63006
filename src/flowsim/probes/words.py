"""Probes of the paper's family of models: inner products of the words."""

import jax
import jax.numpy as jnp

from .probe import Probe
from .samples import STATISTICS

SHOWN = 3  # words 0-2: first target, second target, common


def _attention_score(moment):
    return moment.model.key_query(jnp.arange(SHOWN))


def _mlp_alignment(moment):
    return moment.model.alignment()[:SHOWN]


def _mlp_alignment_random(moment):
    words = moment.model.alignment()[SHOWN:]
    return jnp.quantile(words, jnp.linspace(0.0, 1.0, len(STATISTICS), dtype=words.dtype))


def _value_gram(moment):
    return moment.model.value_gram(jnp.arange(SHOWN))


def _attention_probability(moment):
    tokens = moment.problem.samples.tokens
    probability = jax.vmap(moment.model.attention)(tokens)
    key = jax.nn.one_hot(tokens, SHOWN, dtype=probability.dtype)  # other words give a row of zeros
    total = jnp.einsum("nkq,nka,nqb->ab", probability, key, key)
    count = jnp.einsum("nka,nqb->ab", key, key)
    return total / jnp.maximum(count, 1)


def _readout_squared(moment):
    return moment.model.readout_squared()


LIMIT_WORDS = (
    Probe(
        "attention_score",
        ("key_word", "query_word"),
        "attention score W_KᵀW_Q of words 0-2, not divided by √m",
        "1",
        _attention_score,
    ),
    Probe(
        "attention_probability",
        ("key_word", "query_word"),
        "mean attention probability of a key word for a query word, over samples that hold both; 0 where none does",
        "1",
        _attention_probability,
    ),
    Probe("mlp_alignment", ("word",), "linear MLP function G of words 0-2", "1", _mlp_alignment),
    Probe("value_gram", ("word", "word_2"), "W_VᵀW_V of words 0-2", "1", _value_gram),
)
WORDS = (*LIMIT_WORDS, Probe("readout_squared", (), "‖u‖², u = Wᵀa", "1", _readout_squared))  # no limit in the width
RANDOM_WORDS = (
    Probe(
        "mlp_alignment_random",
        ("statistic",),
        "quartiles over the random words of the linear MLP function G",
        "1",
        _mlp_alignment_random,
    ),
)
