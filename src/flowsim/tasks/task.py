"""A task: what is learned, as plain arrays."""

from typing import Literal

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, Num

from .. import _checks

GROUPS = ("both", "first", "second", "neither")
TARGETS = ("sign", "word", "value")


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

    **Raises:** `ValueError` if labels, groups or tokens are not what `target`, `group_names` and `vocabulary` say.
    """

    tokens: Num[Array | np.ndarray, "samples *inputs"]
    labels: Num[Array | np.ndarray, "samples *outputs"]
    groups: Int[Array | np.ndarray, "samples"] | None
    embedding: Float[Array | np.ndarray, "vocabulary vocabulary"] | None
    vocabulary: int = eqx.field(static=True)
    group_names: tuple[str, ...] = eqx.field(static=True, default=GROUPS)
    target: Literal["sign", "word", "value"] = eqx.field(static=True, default="sign")

    def __check_init__(self):
        if self.target not in TARGETS:
            raise ValueError(f"target must be {', '.join(TARGETS[:-1])} or {TARGETS[-1]}, got {self.target!r}.")
        if self.tokens.ndim < 1 or self.labels.ndim < 1 or len(self.tokens) != len(self.labels):
            raise ValueError(
                f"inputs and labels must hold one row a sample, got shapes {self.tokens.shape} and {self.labels.shape}."
            )
        if not _checks.is_traced((self.tokens, self.labels, self.groups)):
            _check_labels(self)
            _check_tokens(self)
            _check_groups(self)

    @property
    def samples(self) -> int:
        return self.tokens.shape[0]

    @property
    def length(self) -> int:
        return self.tokens.shape[1]


def _check_labels(task: Task) -> None:
    labels = np.asarray(task.labels)
    if not np.all(np.isfinite(labels)):
        raise ValueError("labels must be finite: they hold NaN or infinity.")
    if task.target == "sign" and not (labels.ndim == 1 and np.isin(labels, (-1, 1)).all()):
        raise ValueError(
            f"labels must be -1 or +1, one for each sample, where target is 'sign'; got {_some(labels)}: for numbers "
            "use target='value', for words target='word'."
        )
    if task.target == "word" and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be words, that is integers, where target is 'word'; got {_some(labels)}.")
    if task.target == "word" and task.vocabulary and labels.size:
        _inside("labels", labels, task.vocabulary, "vocabulary")


def _check_tokens(task: Task) -> None:
    tokens = np.asarray(task.tokens)
    if not np.all(np.isfinite(tokens)):
        raise ValueError("inputs must be finite: they hold NaN or infinity.")
    if not task.vocabulary:
        return
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            f"tokens must be integers in [0, {task.vocabulary}), got {_some(tokens)}: vector inputs have vocabulary 0."
        )
    if tokens.size:
        _inside("tokens", tokens, task.vocabulary, "vocabulary")


def _check_groups(task: Task) -> None:
    if task.groups is None:
        return
    groups = np.asarray(task.groups)
    if groups.shape != (task.samples,):
        raise ValueError(f"groups must hold one index a sample, shape ({task.samples},), got {groups.shape}.")
    _inside("groups", groups, len(task.group_names), "group_names")


def _inside(what: str, values: np.ndarray, end: int, which: str) -> None:
    if values.min() < 0 or values.max() >= end:
        raise ValueError(f"{what} must lie in [0, {end}), the size of `{which}`; got {values.min()} … {values.max()}.")


def _some(values: np.ndarray) -> str:
    """The first few distinct values and the shape."""
    shown = ", ".join(f"{v:g}" for v in np.unique(values.ravel()[:1000])[:4])
    return f"{shown}{', …' * (values.size > 4)} of shape {values.shape}"
