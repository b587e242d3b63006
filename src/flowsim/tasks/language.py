"""Languages: Markov chains, one for all sequences or one for each, and a language in which two words together decide
the next one."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key
from .cooccurrence import cooccurrence
from .task import Task

_LARGEST_TABLE = 10**8  # numbers in a table of transitions


def next_token(
    *,
    samples: int,
    length: int,
    vocabulary: int,
    order: int = 1,
    concentration: float = 0.3,
    transitions: Float[Array | np.ndarray, "contexts vocabulary"] | None = None,
    predict: Literal["each", "last"] = "each",
    draw: Key | None = None,
    key: Key,
) -> Task:
    """Sequences of a Markov chain; the label of a position is the word that follows it.

    **Arguments:**

    - `samples`, `length`, `vocabulary`: n, L, d.
    - `order`: how many words decide the next one; 0 for independent words.
    - `concentration`: rows of the table of transitions are drawn from a Dirichlet distribution with this parameter:
      the smaller, the more predictable the language.
    - `transitions`: (vocabulary**order, vocabulary) probabilities instead; row Σ_k w_k vocabulary**(order-1-k) is that
      of the context w_0 … w_{order-1}, oldest first.
    - `draw`: key of the sequences, where these are to be others of the language that `key` stands for.
    - `predict`: labels for `each` position, (samples, length), or for the `last` one, (samples,).

    **Raises:** `ValueError` for sizes or a table that cannot be meant.
    """
    _check(samples, length, vocabulary, order, concentration, transitions)
    key_table, key_start, key_words = jax.random.split(_checks.key(key), 3)
    if draw is not None:
        key_start, key_words = jax.random.split(draw)
    contexts = vocabulary**order
    if transitions is None:
        table = jax.random.dirichlet(key_table, jnp.full(vocabulary, concentration), (contexts,))
    else:
        table = jnp.asarray(transitions)
    logits = jnp.log(table)
    burn_in = 20 * (order + 1)  # so that the first context is drawn about as the chain visits it

    def step(context, key):
        word = jax.random.categorical(key, logits[context], axis=-1)
        return (context * vocabulary + word) % contexts, word

    context = jax.random.randint(key_start, (samples,), 0, contexts)
    _, words = jax.lax.scan(step, context, jax.random.split(key_words, burn_in + length + 1))
    words = words[burn_in:].T.astype(jnp.int32)
    labels = words[:, 1:] if predict == "each" else words[:, -1]
    return Task(words[:, :-1], labels, None, None, vocabulary, ("all",), target="word")


def in_context_markov(
    *,
    samples: int,
    length: int,
    vocabulary: int,
    concentration: float = 1.0,
    predict: Literal["each", "last"] = "each",
    key: Key,
) -> Task:
    """Sequences of a Markov chain of their own each; the label of a position is the word that follows it.

    Every row of a sequence's table of transitions is drawn from a Dirichlet distribution, and its first word uniformly.
    So the next word can be told from the sequence itself only; after c_ab transitions from a to b the best
    prediction is

        P(b | a, the sequence so far) = (c_ab + α) / (Σ_b' c_ab' + α d)

    When to use it: statistical induction heads form in stages, with the losses of uniform, unigram and bigram
    predictions.

    **Arguments:**

    - `samples`, `length`, `vocabulary`: n, L, d.
    - `concentration`: α of the Dirichlet distribution; 1 is uniform over all tables.
    - `predict`: labels for `each` position, (samples, length), or for the `last` one, (samples,).

    **Raises:** `ValueError` for sizes that cannot be meant.

    **Reference:** Edelman, Edelman, Goel, Malach, Tsilivis (2024), The evolution of statistical induction heads,
    section 2.
    """
    _check(samples, length, vocabulary, 1, concentration, None)
    key_table, key_start, key_words = jax.random.split(_checks.key(key), 3)
    tables = jax.random.dirichlet(key_table, jnp.full(vocabulary, concentration), (samples, vocabulary))
    logits, each = jnp.log(tables), jnp.arange(samples)

    def step(word, key):
        following = jax.random.categorical(key, logits[each, word], axis=-1)
        return following, following

    first = jax.random.randint(key_start, (samples,), 0, vocabulary)
    _, rest = jax.lax.scan(step, first, jax.random.split(key_words, length))
    words = jnp.concatenate([first[None], rest]).T.astype(jnp.int32)
    labels = words[:, 1:] if predict == "each" else words[:, -1]
    return Task(words[:, :-1], labels, None, None, vocabulary, ("all",), target="word")


def cooccurrence_language(
    *, samples: int, length: int, vocabulary: int, correlation: float = 0.5, exact_groups: bool = True, key: Key
) -> Task:
    """The paper's task (Definition 2.1) as a language: the word after a sequence says whether both targets occurred.

    Words 0 and 1 are the targets, word 2 is the common word, words vocabulary-2 ("yes") and vocabulary-1 ("no") only
    follow a sequence. The other words are random, and correlated: a random word is, with probability `correlation`,
    the successor (in cyclic order) of the random word before it in the sequence, and else uniform.

    **Arguments:** as of `cooccurrence`; `correlation` in [0, 1].

    **Raises:** `ValueError` for sizes that cannot hold the task.
    """
    if vocabulary < 7:
        raise ValueError(f"vocabulary must be at least 7: two targets, common, yes, no, two random; got {vocabulary}.")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must be in [0, 1], got {correlation}.")
    key_task, key_follow = jax.random.split(key)
    task = cooccurrence(
        samples=samples, length=length, vocabulary=vocabulary - 2, exact_groups=exact_groups, key=key_task
    )
    follow = np.asarray(jax.random.bernoulli(key_follow, correlation, (samples, length)))
    tokens = _correlated(np.asarray(task.tokens), follow, first=3, count=vocabulary - 5)
    labels = jnp.where(jnp.asarray(task.groups) == 0, vocabulary - 2, vocabulary - 1).astype(jnp.int32)
    return Task(jnp.asarray(tokens), labels, task.groups, None, vocabulary, task.group_names, target="word")


def _correlated(tokens: np.ndarray, follow: np.ndarray, *, first: int, count: int) -> np.ndarray:
    """Where `follow` says so, a random word becomes the successor of the random word before it."""
    tokens = tokens.copy()
    before = np.full(len(tokens), -1)
    for column, chained in zip(tokens.T, follow.T, strict=True):
        is_random = column >= first
        change = is_random & chained & (before >= 0)
        column[change] = first + (before[change] - first + 1) % count
        before[is_random] = column[is_random]
    return tokens


def _check(samples, length, vocabulary, order, concentration, transitions):
    for name, value, least in (("samples", samples, 1), ("length", length, 1), ("vocabulary", vocabulary, 2),
                               ("order", order, 0)):  # fmt: skip
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    if not concentration > 0:
        raise ValueError(f"concentration must be > 0, got {concentration}.")
    if vocabulary ** (order + 1) > _LARGEST_TABLE:
        raise ValueError(
            f"a chain of order {order} over {vocabulary} words has a table of {vocabulary ** (order + 1):.0e} numbers; "
            f"at most {_LARGEST_TABLE:.0e} are held: lower order or vocabulary."
        )
    if transitions is not None:
        table = np.asarray(transitions)
        if table.shape != (vocabulary**order, vocabulary) or not np.allclose(table.sum(axis=1), 1) or table.min() < 0:
            raise ValueError(
                f"transitions must be {vocabulary**order} rows of {vocabulary} probabilities that add up to 1, got an "
                f"array of shape {table.shape}."
            )
