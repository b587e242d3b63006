"""What a kind built, tried on shapes alone before anything runs: a mistake in a plugin is found here."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..config.kind import Kind, source
from ..config.making import blamed, wrong_result
from ..config.problems import Place, refusal
from ..events import Event
from ..moment import Lift, Moment
from ..probes import Probe
from ..problem import Problem
from ..tasks import Task


def model(part: Kind, made: Any, task: Task) -> Any:
    """A model that takes one sample's input. **Raises:** `ExperimentErrors` for any other."""
    if source(type(part)) is None:
        return made
    if not callable(made) or not any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(made)):
        raise wrong_result(part, made)
    with blamed(part, "a call, on one sample's input,"):
        eqx.filter_eval_shape(made, task.tokens[0])
    return made


def start(part: Kind, started: Any, model: Any) -> Any:
    """A start of the same shapes as the model. **Raises:** `ExperimentErrors` for any other."""
    if source(type(part)) is None:
        return started
    before, after = (jax.tree.structure(tree) for tree in (model, started))
    if before != after:
        raise wrong_result(part, started, "an initializer that returns the model with other values")
    for old, new in zip(jax.tree.leaves(model), jax.tree.leaves(started), strict=True):
        if jnp.shape(old) != jnp.shape(new):
            what = f"an initializer that keeps the shapes; {jnp.shape(old)} became {jnp.shape(new)}"
            raise wrong_result(part, started, what)
    return started


def loss(part: Kind, made: Any, model: Any, task: Task) -> Callable:
    """A loss that makes a number of one prediction and label. **Raises:** `ExperimentErrors` for any other."""
    if source(type(part)) is None:
        return made
    if not callable(made):
        raise wrong_result(part, made)
    with blamed(part, "the loss"):
        value = eqx.filter_eval_shape(lambda m, x, y: made(m(x), y), model, task.tokens[0], task.labels[0])
    if not _number(value):
        raise wrong_result(part, made, f"a loss of one sample that is one real number, not {_shape(value)}")
    return made


def event(part: Kind, made: Event, problem: Problem) -> Event:
    """An event of real numbers. **Raises:** `ExperimentErrors` for any other."""
    try:
        with blamed(part, "the event's function"):
            value = eqx.filter_eval_shape(made.parts, _start(problem))
    except ValueError as error:
        raise refusal(Place("events"), str(error), getattr(part, "name", part.kind)) from None
    if not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)):
        raise wrong_result(part, made, f"a function of real numbers, not {_shape(value)}")
    return made


def probe(part: Kind, made: Probe, problem: Problem, place: Place, key: str) -> Probe:
    """A probe that the shapes of the model's arrays allow. **Raises:** `ExperimentErrors` for any other."""
    own = source(type(part)) is None
    try:
        with blamed(part, "the probe"):
            value = eqx.filter_eval_shape(made.measure, _start(problem))
    except ValueError as error:
        raise refusal(place, str(error), key) from None
    if not own and not (hasattr(value, "dtype") and hasattr(value, "shape")):
        raise wrong_result(part, made, f"a probe that is an array, not {_shape(value)}")
    return made


def _start(problem: Problem) -> Moment:
    return Moment(problem, jnp.zeros(()), problem.parameters, Lift(problem, None))


def _number(value: Any) -> bool:
    return getattr(value, "shape", None) == () and jnp.issubdtype(value.dtype, jnp.floating)


def _shape(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else f"a {type(value).__name__}"
