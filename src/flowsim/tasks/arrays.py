"""A task from the user's own arrays."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Num

from .task import GROUPS, Task


def from_arrays(
    tokens: Int[Array | np.ndarray, "samples length"],
    labels: Num[Array | np.ndarray, "samples"],
    *,
    vocabulary: int,
    groups: Int[Array | np.ndarray, "samples"] | None = None,
    group_names: tuple[str, ...] = GROUPS,
) -> Task:
    """Make a task of the user's own tokens and labels.

    **Arguments:**

    - `tokens`: (samples, length) integers in [0, vocabulary).
    - `labels`: (samples,) ±1.
    - `vocabulary`: number of words d.
    - `groups`: (samples,) index into `group_names`, or None.

    **Raises:** `ValueError` if a token is outside the vocabulary, a label is not ±1, or a group has no name.
    """
    tokens, labels = np.asarray(tokens), np.asarray(labels)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocabulary):
        raise ValueError(f"tokens must lie in [0, {vocabulary}), got {tokens.min()} … {tokens.max()}.")
    if not np.isin(labels, (-1, 1)).all():
        raise ValueError(f"labels must be -1 or +1, got {np.unique(labels)[:5]}.")
    if groups is not None and not np.isin(groups, range(len(group_names))).all():
        raise ValueError(f"groups must lie in [0, {len(group_names)}), got {np.unique(groups)[:5]}.")
    return Task(
        tokens=jnp.asarray(tokens, jnp.int32),
        labels=jnp.asarray(labels, jnp.zeros(()).dtype),
        groups=None if groups is None else jnp.asarray(groups, jnp.int32),
        embedding=None,
        vocabulary=vocabulary,
        group_names=group_names,
    )
