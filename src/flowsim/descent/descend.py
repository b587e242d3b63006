"""The same start, trained by an optimizer's steps instead of the flow, on the clock t = k·η."""

import numpy as np

from .. import _checks, reductions
from ..problem import Problem
from ..simulation.arguments import as_problem
from .optimizer import Optimizer
from .track import Descent, Track


def descend(
    problem: Problem,
    transformation: Optimizer,
    *,
    learning_rate: float,
    steps: int,
    step_time: float | None = None,
    points: int = 200,
    label: str = "",
    reduction: str = "none",
) -> Descent:
    """Take `steps` steps of an Optax optimizer from the problem's start.

    With `optax.sgd(η)` step k is at t = kη, and one step is one step of Euler's method of size η on the gradient flow.

    **Arguments:**

    - `transformation`: any Optax optimizer.
    - `learning_rate`: η, which sets the clock.
    - `steps`: how many.
    - `step_time`: the time that a step takes, if it is not η: `flows.heavy_ball_step` for momentum on heavy ball.
    - `points`: about how many steps to record, spaced logarithmically; the first and the last are always among them.
    - `reduction`: an exact reduction in whose coordinates the steps are taken. Only orthogonally equivariant optimizers
      (`flowsim.descent.equivariant`) may take another than `none`.

    **Raises:** `ValueError` if a number is not positive, `TypeError` for an argument of another kind.
    """
    learning_rate, steps = _checks.positive("learning_rate", learning_rate), _checks.count("steps", steps)
    clock = learning_rate if step_time is None else _checks.positive("step_time", step_time)
    points = _checks.count("points", points, least=2)
    smaller = reductions.reduce(as_problem(problem), reduction)
    track = Track(problem, smaller, transformation, clock, recorded(steps, points))
    track.until(steps)
    return track.descent(label, learning_rate)


def recorded(steps: int, points: int) -> np.ndarray:
    """About so many step numbers from 0 to the last, spaced logarithmically."""
    return np.unique(np.concatenate([[0], np.round(np.geomspace(1, steps, points))]).astype(np.int64))
