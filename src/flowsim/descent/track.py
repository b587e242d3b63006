"""An optimizer's run under way."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from .. import _checks, _tree, probes
from .._jit import fast_compile
from .._show import text
from ..moment import Lift, Moment
from ..problem import Problem
from ..records import Trajectory, Variable
from ..reductions import Reduction
from .optimizer import Optimizer


class Static(eqx.Module):
    """Optax's update, kept out of what is traced."""

    update: Callable = eqx.field(static=True)


def step(problem: Problem, static: Static, parameters: PyTree, memory: PyTree) -> tuple[PyTree, PyTree]:
    """One step: the parameters and the optimizer's memory after it."""
    gradient = jax.grad(problem.risk)(parameters)
    updates, memory = static.update(gradient, memory, parameters)
    return eqx.apply_updates(parameters, updates), memory


@dataclasses.dataclass(frozen=True)
class Descent:
    """What an optimizer's steps gave.

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

    @property
    def dataset(self) -> Any:
        """The saved probes as a new labelled `xarray.Dataset`."""
        return self.trajectory.dataset().assign_attrs(label=self.label, clock=self.clock)

    def __repr__(self) -> str:
        end, loss = self.trajectory.time[-1], self.trajectory.values["loss"][-1]
        rows = [
            ("steps", f"{round(end / self.step_time)} to t = {end:g} ({self.clock})"),
            ("final", f"loss {loss:g}"),
            ("saved", f"{len(self.trajectory.time)} times of {len(self.trajectory.values)} variables"),
        ]
        return text(f"Descent ({self.label})", rows)


class Track:
    """An optimizer's run so far: parameters and memory after `done` steps, and the standard probes on the way.

    **Arguments:** `reduction`: of the problem, in whose coordinates the steps are taken; `original`: the problem that
    the user knows; `record`: the steps at which probes are measured, in increasing order, 0 and the last among them.

    **Raises:** `TypeError` for what is no optimizer of Optax's.
    """

    def __init__(
        self, original: Problem, reduction: Reduction, transformation: Optimizer, step_time: float, record: np.ndarray
    ):
        _checks.instance(transformation, Optimizer, "the optimizer must be one of Optax's", "write optax.sgd(0.01)")
        self.problem, self.lift = reduction.problem, Lift(original, reduction.lift, reduction.recoverable)
        self.static = Static(transformation.update)
        self.state = (self.problem.parameters, transformation.init(self.problem.parameters))
        self.done, self._record, self._step_time = 0, record, step_time
        self._chosen, self._rows, self._last = probes.standard(self.problem), [], self.problem.parameters
        self._note()

    def until(self, end: int, take: Callable[[int], None] | None = None) -> None:
        """Take the steps up to number `end`.

        **Arguments:** `take`: takes so many steps from `done` on, and sets `state`; by itself if None.
        """
        stops = self._record[(self._record > self.done) & (self._record <= end)]
        for stop in [*stops.tolist(), end]:
            count = stop - self.done
            if count == 0:
                continue
            if take is None:
                self.state = _steps(self.problem, self.static, *self.state, jnp.asarray(count))
            else:
                take(count)
            self.done = stop
            self._note()

    def _note(self) -> None:
        if len(self._rows) == len(self._record) or self.done != self._record[len(self._rows)]:
            return
        time, self._last = jnp.asarray(self.done * self._step_time), self.state[0]
        self._rows.append(_tree.on_host(_measure(self.problem, self.lift, self._chosen, time, self._last)))

    def descent(self, label: str, learning_rate: float) -> Descent:
        """What the steps gave, once all are taken."""
        values = {name: np.stack([row[name] for row in self._rows]) for name in self._rows[0]}
        variables = {p.name: Variable(p.dims or (), p.long_name, p.units) for p in self._chosen}
        times = self._record * self._step_time
        trajectory = Trajectory(times, values, variables, probes.coordinates(self.problem))
        lift = self.lift.lift
        whole = self._last if lift is None else eqx.filter_jit(lift)(self._last)
        return Descent(label or f"η = {learning_rate:g}", learning_rate, whole, trajectory, self._step_time)


@eqx.filter_jit
def _steps(problem: Problem, static: Static, parameters: PyTree, memory: PyTree, count: Int[Array, ""]):
    return jax.lax.fori_loop(0, count, lambda _, state: step(problem, static, *state), (parameters, memory))


@fast_compile
def _measure(
    problem: Problem, lift: Lift, chosen: tuple[probes.Probe, ...], t: Array, parameters: PyTree
) -> dict[str, Array]:
    return probes.measure_all(chosen, Moment(problem, t, parameters, lift))
