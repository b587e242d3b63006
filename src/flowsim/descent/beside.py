"""An optimizer's steps beside the flow: what is measured at every step, in one compiled program."""

import dataclasses

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ..moment import Lift, Moment
from ..probes import Probe
from ..problem import Problem
from ..records import Status
from ..simulation import AbstractConsumer, Chunk, History, Prepared, run, start
from .path import nodes, read, stepwise
from .track import Static, Track, step

_NUMBERS = 2e6  # of the path in memory at once: more leave the caches, and cost twice the time
_BLOCK = 256  # steps at once


@dataclasses.dataclass(frozen=True)
class Steps:
    """What was measured at steps 0, 1, … of descent; the flow is where it is at the same time.

    **Fields:** `distance` (steps,): ‖θ_k - θ(t_k)‖; `travelled` (steps,): ‖θ(t_k) - θ(0)‖; `conditions`
    (steps, events): each event's value on descent; `sharpness` (steps,): NaN where it was not asked for; `status` of
    the flow; `crossings`: its first crossing of each event.
    """

    distance: np.ndarray
    travelled: np.ndarray
    conditions: np.ndarray
    sharpness: np.ndarray
    status: Status
    crossings: dict[str, float]


class _Setting(eqx.Module):
    """What stays the same from step to step."""

    problem: Problem
    lift: Lift
    events: tuple
    edge: Probe | None
    static: Static
    start: Array
    clock: Array  # time of one step


def beside(prepared: Prepared, track: Track, *, edge: Probe | None, at: np.ndarray) -> Steps:
    """Integrate the flow, whose save times are those of the steps, and take the steps beside it.

    The path is used piece by piece, so that it is never in memory as a whole. The track ends one step after the last.

    **Arguments:** `edge`: measured on descent at the steps `at`; None spares its compilation.
    """
    plan, times = prepared.plan, prepared.save_times
    origin = jax.flatten_util.ravel_pytree(plan.problem.parameters)[0]
    clock = jnp.asarray(times[1] - times[0], plan.end.high.dtype)
    setting = _Setting(plan.problem, plan.lift, plan.events, edge, track.static, origin, clock)
    asked = np.zeros(len(times), bool)
    asked[at] = True
    consumer = _Beside(setting, track, times, asked, int(np.clip(_NUMBERS / origin.size, 8, _BLOCK)))
    history = run(stepwise(prepared), consumer)
    crossings = {crossing.event: crossing.time for crossing in reversed(history.crossings)}  # the first of each
    assert history.status is not None
    distance, travelled, conditions, sharpness = (np.concatenate(parts) for parts in zip(*consumer.found, strict=True))
    return Steps(distance, travelled, conditions, sharpness, history.status, crossings)


class _Beside(AbstractConsumer):
    """Takes the optimizer's steps up to where the flow is."""

    def __init__(self, setting: _Setting, track: Track, times: np.ndarray, asked: np.ndarray, capacity: int):
        self._setting, self._track, self._times, self._asked, self._capacity = setting, track, times, asked, capacity
        self.found = []

    def begin(self, prepared: Prepared, history: History) -> None:
        self._methods, self._solver = prepared.methods, prepared.plan.method.kind
        self._before, self._reached = start(prepared.plan), prepared.settings.t0

    def take(self, chunk: Chunk, history: History) -> Status | None:
        first = self._track.done
        last = len(self._times) if history.status is not None and history.status.ok else self._due(chunk.reached)
        if last > first:
            times = self._times[first:last]
            where, weights = nodes(self._reached, chunk.reached, times)
            states = read(self._methods.named(self._solver), self._before, where)
            for begin in range(0, last - first, self._capacity):
                self._take(first + begin, weights[begin : begin + self._capacity], states)
        self._before, self._reached, self._solver = chunk.carry, chunk.reached, chunk.solver

    def _due(self, reached: float) -> int:
        """How many of the times the flow has reached."""
        return int(np.searchsorted(self._times, reached, side="right"))

    def _take(self, first: int, weights: np.ndarray, states: Array) -> None:
        track, count = self._track, len(weights)
        weights = _filled(weights, self._capacity)
        flags = _filled(self._asked[first : first + count], self._capacity)

        def take(number: int) -> None:
            """Measure at so many steps, against the flow there, and take them."""
            where = (jnp.asarray(track.done - first), jnp.asarray(track.done), jnp.asarray(number))
            track.state, measured = _advance(self._setting, track.state, weights, states, flags, *where)
            self.found.append([np.asarray(x)[:number] for x in measured])

        track.until(first + count, take)


def _filled(values: np.ndarray, length: int) -> Array:
    """Of one length whatever is there, so that one compiled program takes all pieces."""
    full = np.zeros((length, *values.shape[1:]), values.dtype)
    full[: len(values)] = values
    return jnp.asarray(full)


@eqx.filter_jit
def _advance(
    setting: _Setting, state: PyTree, weights: Array, states: Array, flags: Array, offset: Array, first: Array,
    count: Array,
):  # fmt: skip
    """Measure at `count` steps from number `first` on, whose weights begin at `offset`, and take them."""
    dtype = setting.start.dtype
    length = weights.shape[0]
    moved = states - states[0]  # small: the weights' rounding errors are as small
    rows = states[0] + jnp.matmul(weights.astype(dtype), moved, precision=jax.lax.Precision.HIGHEST)
    empty = (
        jnp.zeros(length, dtype), jnp.zeros(length, dtype), jnp.zeros((length, len(setting.events)), dtype),
        jnp.full(length, jnp.nan, dtype),
    )  # fmt: skip

    def body(i, loop):
        (parameters, memory), measured = loop
        now = _measure(setting, parameters, rows[offset + i], flags[offset + i], (first + i) * setting.clock)
        measured = tuple(x.at[i].set(y) for x, y in zip(measured, now, strict=True))
        return step(setting.problem, setting.static, parameters, memory), measured

    return jax.lax.fori_loop(0, count, body, (state, empty))


def _measure(setting: _Setting, parameters: PyTree, there: Array, flag: Array, t: Array) -> tuple[Array, ...]:
    here = jax.flatten_util.ravel_pytree(parameters)[0]
    moment = Moment(setting.problem, t, parameters, setting.lift)
    conditions = [jnp.min(event.parts(moment)).astype(here.dtype) for event in setting.events]
    sharpness = nothing = jnp.asarray(jnp.nan, here.dtype)
    if setting.edge is not None:
        measure = setting.edge.measure
        sharpness = jax.lax.cond(flag, lambda: jnp.asarray(measure(moment), here.dtype), lambda: nothing)
    return (
        jnp.linalg.norm(here - there),
        jnp.linalg.norm(there - setting.start),
        jnp.stack(conditions) if conditions else jnp.zeros(0, here.dtype),
        sharpness,
    )
