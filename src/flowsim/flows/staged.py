"""A schedule: what is trained changes when something happens."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _checks
from .._types import Parameters, Scalar
from ..problem import Problem
from .flow import AbstractFlow, AbstractSwitched, Traits, descent_rate
from .gradient import Gradient, unfollowed
from .leaves import by_leaf, weights


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a schedule.

    **Fields:** `train`: names of the arrays that move (as for `time_scales`), None for all; `until`: name of the
    event whose first crossing ends the stage, None for the last stage.
    """

    train: tuple[str, ...] | None
    until: str | None


class InStage(eqx.Module):
    """The base's state, and the number of the stage, which only an event changes."""

    flow: PyTree
    stage: Scalar


class Staged(AbstractSwitched):
    """`base`, with arrays that move or rest by the stage. The energy is the risk. See `staged`."""

    renews: ClassVar[bool] = False
    base: AbstractFlow
    stages: tuple[Stage, ...] = eqx.field(static=True)

    @property
    def traits(self) -> Traits:
        """Arrays that rest leave the Jacobian of those that move as it is; names of arrays are no coordinates."""
        return dataclasses.replace(self.base.traits, equivariant=False, conserves=False, plain=False, staged=True)

    def init(self, problem: Problem) -> PyTree:
        flow = self.base.init(problem)
        return InStage(flow, jnp.zeros((), jnp.result_type(problem.risk(problem.parameters))))

    def velocity(self, problem: Problem, t: Scalar, state: PyTree) -> tuple[PyTree, Scalar]:
        velocity, _ = self.base.velocity(problem, t, state.flow)
        here = self.base.parameters(state.flow)
        rates = jnp.asarray([self._rates(here, stage) for stage in self.stages], state.stage.dtype)
        now = rates[jnp.round(state.stage).astype(int)]
        moving = by_leaf(jnp.multiply, list(now), self.base.parameters(velocity))
        rate = descent_rate(problem, here, moving)
        return InStage(eqx.tree_at(self.base.parameters, velocity, moving), jnp.zeros_like(state.stage)), rate

    def parameters(self, state: PyTree) -> Parameters:
        return self.base.parameters(state.flow)

    def energy(self, problem: Problem, state: PyTree) -> Scalar:
        return problem.risk(self.parameters(state))

    def ending(self, state: PyTree) -> str | None:
        """The event that ends the stage that a state is in."""
        return self.stages[round(float(state.stage))].until

    def following(self, problem: Problem, t: Scalar, state: PyTree) -> PyTree:
        """The same state in the next stage."""
        return eqx.tree_at(lambda s: s.stage, state, state.stage + 1)

    def _rates(self, parameters: Parameters, stage: Stage) -> list[float]:
        if stage.train is None:
            return weights(parameters, {})
        return weights(parameters, dict.fromkeys(stage.train, 1.0), other=0.0)


def staged(stages: Sequence[Mapping[str, object] | Stage], base: AbstractFlow | None = None) -> Staged:
    """A schedule: train some arrays until an event, then others.

        flows.staged([{"train": ["W_K", "W_Q"], "until": "phase1_end"}, {"train": None}])

    The switch is made at the event's exact time: the integrator starts afresh there, since the velocity jumps. An
    array that rests keeps the base's other state (momentum, averages) running. Events, certificate and resumed runs
    work as for every flow; the events that end stages must be among those of the run.

    **Arguments:** `stages`: each with `train` (names as for `time_scales`, None for all) and `until` (an event's
    name; none for the last). `base`: the gradient flow if None.

    **Raises:** `ValueError` if a stage but the last has no end, or the last one has; for a base that follows kinks.
    """
    made = tuple(stage if isinstance(stage, Stage) else _stage(stage) for stage in stages)
    if not made:
        raise ValueError("a schedule needs at least one stage.")
    for number, stage in enumerate(made, 1):
        if (stage.until is None) != (number == len(made)):
            what = (
                "is the last and must not have an `until`" if number == len(made) else "needs `until`, an event's name"
            )
            raise ValueError(f"stage {number} of {len(made)} {what}.")
    return Staged(unfollowed(base or Gradient()), made)


def _stage(given: Mapping[str, object]) -> Stage:
    _checks.instance(given, Mapping, "stages must be a list of dictionaries with `train` and `until`")
    unknown = set(given) - {"train", "until"}
    if unknown:
        raise ValueError(f"a stage has `train` and `until`, got {', '.join(sorted(unknown))}.")
    train, until = given.get("train"), given.get("until")
    if isinstance(train, str) or not (until is None or isinstance(until, str)):
        raise ValueError(f"a stage's `train` is a list of names and its `until` one name, got {train!r}, {until!r}.")
    return Stage(None if train is None else tuple(train), until)  # type: ignore[arg-type]
