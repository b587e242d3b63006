"""A task from the user's own arrays."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Num

from .. import _checks
from .task import GROUPS, TARGETS, Task


def from_arrays(
    tokens: Num[Array | np.ndarray, "samples *inputs"],
    labels: Num[Array | np.ndarray, "samples *outputs"],
    *,
    vocabulary: int | None = None,
    groups: Int[Array | np.ndarray, "samples"] | None = None,
    group_names: tuple[str, ...] | None = None,
    target: Literal["sign", "word", "value"] | None = None,
) -> Task:
    """Make a task of the user's own inputs and labels.

    **Arguments:**

    - `tokens`: (samples, length) integers in [0, vocabulary); or numbers, (samples, features) or
      (samples, length, features), without a vocabulary.
    - `labels`: (samples,) ±1; words to be predicted, (samples,) or (samples, length); or numbers of the prediction's
      shape.
    - `vocabulary`: number of words d of tokens; None where the inputs are numbers.
    - `groups`: (samples,) index into `group_names`, or None.
    - `group_names`: of the groups; the paper's four by default.
    - `target`: what the labels are: `sign`, `word` or `value`. By default ±1 are signs, other integers beside a
      vocabulary are words, and everything else is numbers.

    **Raises:** `ValueError` if a token is outside the vocabulary, a label is not what `target` says, or a group has no
    name.
    """
    inputs, answers = np.asarray(tokens), np.asarray(labels)
    if vocabulary is not None:
        vocabulary = _checks.count("vocabulary", vocabulary)
    if target is None:
        target = _target(answers, vocabulary)
        if answers.ndim == 1 and target != "sign" and np.isin(answers, (-1, 0, 1)).all():
            raise ValueError("labels of two classes must be -1 and +1: write 2 * labels - 1; or say what they are by "
                             "target='word' or target='value'.")  # fmt: skip
    _checks.choice("target", target, TARGETS)
    number = jnp.zeros(()).dtype
    return Task(
        tokens=jnp.asarray(inputs, jnp.int32 if vocabulary and np.issubdtype(inputs.dtype, np.integer) else number),
        labels=jnp.asarray(answers, jnp.int32 if target == "word" and answers.dtype.kind in "iu" else number),
        groups=None if groups is None else jnp.asarray(groups, jnp.int32),
        embedding=None,
        vocabulary=vocabulary or 0,
        group_names=GROUPS if group_names is None else tuple(group_names),
        target=target,
    )


def _target(labels: np.ndarray, vocabulary: int | None) -> str:
    if labels.ndim == 1 and np.isin(labels, (-1, 1)).all():
        return "sign"
    return "word" if vocabulary and np.issubdtype(labels.dtype, np.integer) else "value"
