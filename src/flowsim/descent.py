"""The same start, trained by an optimiser's steps instead of the flow, on the clock t = k·η."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PyTree

from . import probes
from .moment import Lift, Moment
from .problem import Problem
from .records import Trajectory, Variable

Optimiser = optax.GradientTransformation

_OPTIMISERS = {"sgd": optax.sgd, "adam": optax.adam, "adagrad": optax.adagrad, "rmsprop": optax.rmsprop}


@dataclasses.dataclass(frozen=True)
class Descent:
    """What an optimiser's steps gave.

    **Fields:** `label`: for a legend; `parameters`: after the last step; `trajectory`: the standard probes, with
    `time` = step × the time of one, which is the learning rate unless said otherwise.
    """

    label: str
    learning_rate: float
    parameters: PyTree
    trajectory: Trajectory
    step_time: float

    @property
    def clock(self) -> str:
        """How its steps are placed in time, for a label."""
        same = self.step_time == self.learning_rate
        return "steps × learning rate" if same else f"steps × {self.step_time:.4g}"


def optimiser(kind: str, learning_rate: float, **options: float) -> optax.GradientTransformation:
    """An Optax optimiser by its name.

    The learning rate is a part of the optimiser's state, so that runs of several rates share one compiled program.

    **Raises:** `ValueError` for a name that is not known.
    """
    if kind not in _OPTIMISERS:
        raise ValueError(f"unknown optimizer {kind!r}; known are {', '.join(_OPTIMISERS)}.")
    base = _adjustable(kind, tuple(sorted(options.items())))

    def init(params: PyTree) -> PyTree:  # Optax's name for it
        state: Any = base.init(params)
        rate = jnp.asarray(learning_rate, state.hyperparams["learning_rate"].dtype)
        return state._replace(hyperparams={**state.hyperparams, "learning_rate": rate})

    return optax.GradientTransformation(init, base.update)


@functools.cache
def _adjustable(kind: str, options: tuple[tuple[str, float], ...]) -> optax.GradientTransformation:
    return optax.inject_hyperparams(_OPTIMISERS[kind])(learning_rate=1.0, **dict(options))


def descend(
    problem: Problem,
    transformation: optax.GradientTransformation,
    *,
    learning_rate: float,
    steps: int,
    step_time: float | None = None,
    points: int = 200,
    label: str = "",
) -> Descent:
    """Take `steps` steps of an Optax optimiser from the problem's start.

    With `optax.sgd(η)` step k is at t = kη, and one step is one step of Euler's method of size η on the gradient flow.

    **Arguments:**

    - `transformation`: any Optax optimiser.
    - `learning_rate`: η, which sets the clock.
    - `steps`: how many.
    - `step_time`: the time that a step takes, if it is not η: `flows.heavy_ball_step` for momentum on heavy ball.
    - `points`: about how many steps to record, spaced logarithmically; the first and the last are always among them.

    **Raises:** `ValueError` if `learning_rate` or `steps` is not positive.
    """
    if not learning_rate > 0 or steps < 1:
        raise ValueError(f"learning_rate and steps must be > 0, got {learning_rate} and {steps}.")
    record = np.unique(np.concatenate([[0], np.round(np.geomspace(1, steps, points))]).astype(np.int64))
    clock = learning_rate if step_time is None else step_time
    chosen = probes.standard(problem)
    parameters, memory = problem.parameters, transformation.init(problem.parameters)
    static, rows = Static(transformation.update), []
    for here, there in zip(record, [*record[1:], record[-1]], strict=True):
        rows.append(jax.device_get(_measure(problem, chosen, jnp.asarray(here * clock), parameters)))
        parameters, memory = _steps(problem, static, parameters, memory, jnp.asarray(there - here))
    values = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    variables = {p.name: Variable(p.dims or (), p.long_name, p.units) for p in chosen}
    trajectory = Trajectory(record * clock, values, variables, probes.coordinates(problem))
    return Descent(label or f"η = {learning_rate:g}", learning_rate, parameters, trajectory, clock)


class Static(eqx.Module):
    """Optax's update, kept out of what is traced."""

    update: Callable = eqx.field(static=True)


def step(problem: Problem, static: Static, parameters: PyTree, memory: PyTree) -> tuple[PyTree, PyTree]:
    """One step: the parameters and the optimiser's memory after it."""
    gradient = jax.grad(problem.risk)(parameters)
    updates, memory = static.update(gradient, memory, parameters)
    return eqx.apply_updates(parameters, updates), memory


@eqx.filter_jit
def _steps(problem: Problem, static: Static, parameters: PyTree, memory: PyTree, count: Int[Array, ""]):
    return jax.lax.fori_loop(0, count, lambda _, state: step(problem, static, *state), (parameters, memory))


@eqx.filter_jit
def _measure(problem: Problem, chosen: tuple[probes.Probe, ...], t: Array, parameters: PyTree) -> dict[str, Array]:
    return probes.measure_all(chosen, Moment(problem, t, parameters, Lift(problem, None)))
