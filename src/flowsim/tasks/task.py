"""A task: what is learned, as plain arrays."""

from typing import Literal

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, Num

GROUPS = ("both", "first", "second", "neither")


class Task(eqx.Module):
    """Labelled samples, of tokens in most tasks.

    **Fields:**

    - `tokens`: (samples, length) integers in [0, vocabulary); or inputs that are vectors, (samples, features) or
      (samples, length, features).
    - `labels`: what `target` says.
    - `groups`: (samples,) index into `group_names`, or None when the samples have no groups.
    - `embedding`: (vocabulary, vocabulary) with one column for each word, or None for one-hot words.
    - `vocabulary`: number of words d; 0 where inputs are vectors.
    - `target`: `sign`: labels are (samples,) ±1; `word`: words to be predicted, (samples,) or one for each position,
      (samples, length); `value`: numbers, of the prediction's shape.
    """

    tokens: Num[Array | np.ndarray, "samples *inputs"]
    labels: Num[Array | np.ndarray, "samples *outputs"]
    groups: Int[Array | np.ndarray, "samples"] | None
    embedding: Float[Array | np.ndarray, "vocabulary vocabulary"] | None
    vocabulary: int = eqx.field(static=True)
    group_names: tuple[str, ...] = eqx.field(static=True, default=GROUPS)
    target: Literal["sign", "word", "value"] = eqx.field(static=True, default="sign")

    @property
    def samples(self) -> int:
        return self.tokens.shape[0]

    @property
    def length(self) -> int:
        return self.tokens.shape[1]
