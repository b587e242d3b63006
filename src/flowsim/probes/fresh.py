"""Generalization: what the model makes of samples that it was not trained on."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..moment import Moment
from ..tasks import Task
from .probe import Probe


class _FreshLoss(eqx.Module):
    task: Task

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        problem, parameters = _elsewhere(moment, self.task)
        return problem.risk(parameters)


class _FreshAccuracy(eqx.Module):
    task: Task

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        problem, parameters = _elsewhere(moment, self.task)
        return jnp.mean(problem.margins(parameters) > 0, dtype=moment.t.dtype)


def _elsewhere(moment: Moment, task: Task):
    """The user's own problem on other samples. A reduction may know the words of the training samples only."""
    lift = moment.lift
    if not lift.recoverable:
        raise ValueError("fresh samples need the model itself: use another reduction (auto, rotation, none).")
    parameters = moment.parameters if lift.lift is None else lift.lift(moment.parameters)
    return eqx.tree_at(lambda p: p.task, lift.original, task), parameters


def fresh_loss(task: Task) -> Probe:
    """The risk on other samples, `fresh_loss(time)`: what the training loss estimates too well.

    **Arguments:** `task`: samples of the same law as the training samples, drawn once with a key of their own. A law
    that is itself drawn (`tasks.next_token`, `tasks.regression`) is kept by their `draw`.
    """
    return Probe("fresh_loss", (), f"loss on {task.samples} fresh samples", "1", _FreshLoss(task))


def fresh_accuracy(task: Task) -> Probe:
    """The share of other samples that are classified rightly (at every position), `fresh_accuracy(time)`.

    It jumps by 1/samples wherever one of them changes sides: no smooth curve, and its error band may be as wide.

    **Arguments:** as of `fresh_loss`.

    **Raises:** `ValueError` for a task of numbers, which knows no right and wrong.
    """
    if task.target == "value":
        raise ValueError("fresh_accuracy needs labels that are signs or words; take fresh_loss for numbers.")
    text = f"share of {task.samples} fresh samples that are classified rightly"
    return Probe("fresh_accuracy", (), text, "1", _FreshAccuracy(task))
