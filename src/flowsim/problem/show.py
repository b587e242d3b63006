"""A problem as a person reads it."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from .. import _tree
from .._types import Parameters
from ..tasks import Task

_SHOWN = 8  # names of arrays


def is_whole(parameters: Any, task: Any) -> bool:
    """Are its parts what a problem is made of, arrays or what stands for them?"""
    leaves = jax.tree.leaves((parameters, task))
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def lines(model: Any, parameters: Parameters, task: Task | None, loss: Callable) -> Iterator[tuple[str, str]]:
    """(name, text): what descends on what. No value of an array is read."""
    name = getattr(loss, "__name__", type(loss).__name__)
    if task is not None:
        yield "model", type(model).__name__
    yield "parameters", _arrays(parameters)
    if task is not None:
        of = {"sign": "±1", "word": "words", "value": "numbers"}.get(task.target, task.target)
        yield (
            "task",
            f"{task.samples} samples, each {_shape(task.tokens)}; labels are {of}, each {_shape(task.labels)}",
        )
    yield "loss", name


def _shape(samples: Any) -> str:
    shape = np.shape(samples)[1:]
    return f"an array of shape {shape}" if shape else "a number"


def _arrays(parameters: Parameters) -> str:
    leaves = jax.tree.leaves(parameters)
    names = list(_tree.paths(parameters))
    more = "" if len(names) <= _SHOWN else f" and {len(names) - _SHOWN} more"
    shown = ", ".join(f"{n}{list(x.shape)}" for n, x in zip(names[:_SHOWN], leaves, strict=False))
    return f"{_tree.size(parameters)} numbers, {_tree.dtype(parameters)}: {shown}{more}"
