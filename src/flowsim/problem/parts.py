"""Sums over parts of the samples: memory that does not grow with their number."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.extend.core as jex
import numpy as np

from .. import _checks, _memory
from ..tasks import Task

_SHARE = 0.25  # of the memory there is, for what the samples' predictions and gradients hold at once
_BACK = 2  # what the gradient holds, over what the prediction computes


def over_samples(function: Callable, at_once: int | None) -> Callable:
    """`function` of one sample as a function of all samples, `at_once` of them at a time (None: all).

    In parts nothing is kept from the way there for the way back: the gradient computes a part's predictions again.
    """
    if at_once is None:
        return jax.vmap(function)
    return lambda *samples: jax.lax.map(jax.checkpoint(lambda one: function(*one)), samples, batch_size=at_once)


def part_size(model: Callable, task: Task, asked: int | str | None) -> int | None:
    """How many samples are evaluated at once; None for all.

    **Arguments:** `asked`: a number, `"all"`, or None to let the memory decide.

    **Raises:** `ValueError`, `TypeError` for anything else.
    """
    if asked == "all":
        return None
    if asked is not None:
        number = _checks.count("samples_at_once", asked)
        return number if number < task.samples else None
    memory = _SHARE * _memory.for_arrays() / _BACK
    if 8 * task.tokens.size < 1e-6 * memory and task.samples < 1000:
        return None  # not worth tracing the model for
    one = max(bytes_of_one(model, task), 1)
    return None if one * task.samples <= memory else max(int(memory // one), 1)


def activations(model: Callable, task: Task | None, at_once: int | None) -> int:
    """Bytes that a gradient of the risk holds of what the model computes, at the most; `at_once`: samples at a time."""
    if task is None:
        return 0
    return _BACK * bytes_of_one(model, task) * (task.samples if at_once is None else at_once)


def bytes_of_one(model: Callable, task: Task) -> int:
    """Bytes of everything that a model computes of one sample; what does not depend on the sample is not counted."""
    sample = jax.ShapeDtypeStruct(task.tokens.shape[1:], task.tokens.dtype)
    closed, *_ = eqx.filter_make_jaxpr(lambda x: model(x))(sample)
    return _bytes(closed.jaxpr, [True] * len(closed.jaxpr.invars))


def _bytes(jaxpr: Any, depends: Sequence[bool]) -> int:
    """Of the intermediate results of a program that depend on its marked inputs."""
    marked = {id(v) for v, yes in zip(jaxpr.invars, depends, strict=True) if yes}
    total = 0
    for equation in jaxpr.eqns:
        flags = [not isinstance(v, jex.Literal) and id(v) in marked for v in equation.invars]
        if not any(flags):
            continue
        marked |= {id(v) for v in equation.outvars}
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        inner = getattr(inner, "jaxpr", inner)
        if inner is not None and len(inner.invars) == len(flags):
            total += _bytes(inner, flags) * equation.params.get("length", 1)
        total += sum(int(np.prod(v.aval.shape)) * v.aval.dtype.itemsize for v in equation.outvars)
    return total
