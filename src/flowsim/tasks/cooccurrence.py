"""The paper's task (Definition 2.1): do all target words occur?"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .._jit import fast_compile
from .._types import Key
from .task import GROUPS, Task


def cooccurrence(
    *,
    samples: int,
    length: int,
    vocabulary: int,
    targets: int = 2,
    distinct_words: bool = False,
    exact_groups: bool = True,
    group_sizes: Sequence[int] | None = None,
    embedding: Float[Array | np.ndarray, "vocabulary vocabulary"] | None = None,
    key: Key,
) -> Task:
    """Draw the word co-occurrence task.

    Every sample holds the common word once. With probability 1/2 all targets occur as well, once each, and y = +1;
    otherwise y = -1 and the set of present targets is uniform among the proper subsets that the paper names: one
    target alone, or none. All other positions hold random words. Positions are a uniformly random permutation.

    With `targets = k` the words 0 … k-1 are the targets and word k is the common word; the groups are `both` (called
    `all` for k ≠ 2), each single target, and `neither`. For k = 2 this is the paper's Definition 2.1.

    **Arguments:**

    - `samples`, `length`, `vocabulary`: n, L, d.
    - `targets`: number of target words k ≥ 2.
    - `distinct_words`: all random words in the whole training set differ (Assumption 2.3 ii).
    - `exact_groups`: group sizes are exactly n/2 and n/(2(k+1)) each (Assumption 2.3 i); otherwise they are drawn.
    - `group_sizes`: how many samples of each group, all targets first, instead of the sizes that the paper has.
    - `embedding`: (vocabulary, vocabulary), one column for each word; one-hot if None.
    - `key`: random key.

    **Raises:** `ValueError` if the sizes cannot hold the task.

    **Reference:** Yang, Kailkhura, Wang, Liang (2024), Definition 2.1 and Assumption 2.3.
    """
    key = _checks.key(key)
    sizes = tuple(group_sizes) if group_sizes is not None else exact_sizes(samples, targets) if exact_groups else None
    _check(samples, length, vocabulary, targets, distinct_words, sizes)
    if sizes is None and _checks.is_traced(key):
        raise ValueError("the sizes of the groups must be known where a task is drawn in a traced function: leave "
                         "exact_groups, or give group_sizes.")  # fmt: skip
    key_groups, key_words, key_order = _three(key)
    groups = _drawn(samples, targets, key_groups) if sizes is None else np.repeat(np.arange(targets + 2), sizes)
    present = _present(groups, targets)
    # Column 0 is the common word, columns 1 … k the targets; a target that is absent leaves its place to a random word.
    signal = np.concatenate([np.full((samples, 1), targets), np.tile(np.arange(targets), (samples, 1))], axis=1)
    is_signal = np.concatenate([np.ones((samples, 1), bool), present], axis=1)
    is_signal = np.pad(is_signal, ((0, 0), (0, length - targets - 1)))
    signal = np.pad(signal, ((0, 0), (0, length - targets - 1)))
    count, words = int((~is_signal).sum()), vocabulary - targets - 1
    if distinct_words and words < count:
        raise ValueError(f"distinct_words needs a vocabulary of at least {targets + 1 + count}, got {vocabulary}.")
    drawn = _random_words(key_words, count, words, distinct_words)
    tokens = _placed(signal, is_signal, targets + 1, drawn, _orders(key_order, samples, length))
    labels = np.where(groups == 0, 1.0, -1.0)
    dtype = jnp.zeros(()).dtype
    return Task(
        tokens=jnp.asarray(tokens, jnp.int32),
        labels=jnp.asarray(labels, dtype),
        groups=jnp.asarray(groups, jnp.int32),
        embedding=None if embedding is None else _embedding(embedding, vocabulary, dtype),
        vocabulary=vocabulary,
        group_names=GROUPS if targets == 2 else ("all", *(f"target_{k}" for k in range(targets)), "neither"),
    )


def _check(samples, length, vocabulary, targets, distinct_words, sizes):
    if targets < 2:
        raise ValueError(f"targets must be at least 2, got {targets}.")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}.")
    if length < targets + 1:
        raise ValueError(
            f"length must be at least targets + 1 = {targets + 1}, to hold every signal word; got {length}."
        )
    if vocabulary < targets + 2:
        raise ValueError(f"vocabulary must be at least targets + 2 = {targets + 2}, got {vocabulary}.")
    if sizes is not None and (len(sizes) != targets + 2 or min(sizes) < 0 or sum(sizes) != samples):
        raise ValueError(f"group_sizes must be {targets + 2} numbers >= 0 with sum {samples}, got {list(sizes)}.")
    if distinct_words and sizes is not None:
        need = random_positions(sizes, length) + targets + 1
        if vocabulary < need:
            raise ValueError(f"distinct_words needs a vocabulary of at least {need}, got {vocabulary}.")


def exact_sizes(samples: int, targets: int = 2) -> tuple[int, ...]:
    """The sizes of the groups in Assumption 2.3 (i): half of the samples, and equal parts of the other half.

    **Raises:** `ValueError` if the samples cannot be divided so.
    """
    unit = 2 * (targets + 1)
    if samples % unit:
        raise ValueError(
            f"exact groups need samples divisible by {unit}, got {samples}: take {max(samples // unit, 1) * unit} "
            "or set exact_groups=False."
        )
    return (samples // 2, *(samples // unit,) * (targets + 1))


def random_positions(sizes: Sequence[int], length: int) -> int:
    """How many positions hold random words, with groups of these sizes."""
    targets = len(sizes) - 2
    return sum(sizes) * (length - 1) - targets * sizes[0] - sum(sizes[1:-1])


def _drawn(samples, targets, key):
    probabilities = jnp.array([0.5] + [0.5 / (targets + 1)] * (targets + 1))
    return np.sort(np.asarray(jax.random.choice(key, targets + 2, (samples,), p=probabilities)))


def _present(groups, targets):
    """present[i, k]: does sample i hold target k?"""
    alone = groups[:, None] == np.arange(1, targets + 1)[None, :]
    return alone | (groups == 0)[:, None]


@fast_compile
def _three(key):
    return tuple(jax.random.split(key, 3))


@fast_compile
def _random_words(key, count, words, distinct):
    """Counted from 0."""
    if not distinct:
        return jax.random.randint(key, (count,), 0, words)
    return jax.random.permutation(key, words)[:count]


@fast_compile
def _orders(key, samples, length):
    """Each sample's order of its positions."""
    return jax.vmap(lambda k: jax.random.permutation(k, length))(jax.random.split(key, samples))


def _placed(signal, is_signal, first, words, order):
    """The samples' words, random ones from `first` on where there is no signal, in each sample's order."""
    if _checks.is_traced((words, order)):
        tokens = jnp.ravel(jnp.asarray(signal)).at[np.flatnonzero(~is_signal)].set(first + words)
        return jnp.take_along_axis(tokens.reshape(signal.shape), order, axis=1)
    tokens = signal.copy()
    tokens[~is_signal] = first + np.asarray(words)
    return np.take_along_axis(tokens, np.asarray(order), axis=1)


def _embedding(embedding, vocabulary, dtype):
    embedding = jnp.asarray(embedding, dtype)
    if embedding.shape != (vocabulary, vocabulary):
        raise ValueError(f"embedding must have shape ({vocabulary}, {vocabulary}), got {embedding.shape}.")
    return embedding
