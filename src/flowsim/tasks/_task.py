"""A task: what is learned, as plain arrays."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int

GROUPS = ("both", "first", "second", "neither")


class Task(eqx.Module):
    """Labelled samples of tokens.

    **Fields:**

    - `tokens`: (samples, length) integers in [0, vocabulary).
    - `labels`: (samples,) ±1.
    - `groups`: (samples,) index into `group_names`, or None when the samples have no groups.
    - `embedding`: (vocabulary, vocabulary) with one column for each word, or None for one-hot words.
    - `vocabulary`: number of words d.
    """

    tokens: Int[Array | np.ndarray, "samples length"]
    labels: Float[Array | np.ndarray, "samples"]
    groups: Int[Array | np.ndarray, "samples"] | None
    embedding: Float[Array | np.ndarray, "vocabulary vocabulary"] | None
    vocabulary: int = eqx.field(static=True)
    group_names: tuple[str, ...] = eqx.field(static=True, default=GROUPS)

    @property
    def samples(self) -> int:
        return self.tokens.shape[0]

    @property
    def length(self) -> int:
        return self.tokens.shape[1]
