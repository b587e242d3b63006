"""An optimizer's steps beside the flow: what is measured at every step, in one compiled program."""

import dataclasses

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .._jit import prompt_compile
from ..moment import Lift, Moment
from ..probes import Probe
from ..problem import Problem
from ..records import Status
from ..simulation import AbstractConsumer, Chunk, History, Prepared, run, start
from .path import nodes, read, stepwise
from .track import Static, Track, step

_BLOCK = 256  # steps of a call of the compiled program
_ROWS = 8  # of the path in memory at once: more leave the caches


@dataclasses.dataclass(frozen=True)
class Steps:
    """What was measured at steps 0, 1, … of descent; the flow is where it is at the same time.

    **Fields:** `distance` (steps,): ‖θ_k - θ(t_k)‖; `travelled`: the largest ‖θ(t) - θ(0)‖; `conditions`
    (steps, events): each event's value on descent; `sharpness` (steps,): NaN where it was not asked for; `status` of
    the flow; `crossings`: its first crossing of each event.
    """

    distance: np.ndarray
    travelled: float
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
    consumer = _Beside(setting, track, times, asked)
    history = run(stepwise(prepared), consumer)
    crossings = {crossing.event: crossing.time for crossing in reversed(history.crossings)}  # the first of each
    assert history.status is not None
    distance, conditions, sharpness = (np.concatenate(parts) for parts in zip(*consumer.found, strict=True))
    return Steps(distance, consumer.travelled, conditions, sharpness, history.status, crossings)


class _Beside(AbstractConsumer):
    """Takes the optimizer's steps up to where the flow is."""

    def __init__(self, setting: _Setting, track: Track, times: np.ndarray, asked: np.ndarray):
        self._setting, self._track, self._times, self._asked = setting, track, times, asked
        self.found, self.travelled = [], 0.0

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
            for begin in range(0, last - first, _BLOCK):
                self._take(first + begin, weights[begin : begin + _BLOCK], states)
        self._before, self._reached, self._solver = chunk.carry, chunk.reached, chunk.solver

    def _due(self, reached: float) -> int:
        """How many of the times the flow has reached."""
        return int(np.searchsorted(self._times, reached, side="right"))

    def _take(self, first: int, weights: np.ndarray, states: Array) -> None:
        track, count = self._track, len(weights)
        weights, flags = _filled(weights), _filled(self._asked[first : first + count])

        def take(number: int) -> None:
            """Measure at so many steps, against the flow there, and take them."""
            where = (jnp.asarray(track.done - first), jnp.asarray(track.done), jnp.asarray(number))
            track.state, measured, farthest = _advance(self._setting, track.state, weights, states, flags, *where)
            self.travelled = max(self.travelled, float(farthest))
            self.found.append([np.asarray(x)[:number] for x in measured])

        track.until(first + count, take)


def _filled(values: np.ndarray) -> Array:
    """Of one length whatever is there, so that one compiled program takes all pieces."""
    full = np.zeros((_BLOCK, *values.shape[1:]), values.dtype)
    full[: len(values)] = values
    return jnp.asarray(full)


@prompt_compile
def _advance(
    setting: _Setting, state: PyTree, weights: Array, states: Array, flags: Array, offset: Array, first: Array,
    count: Array,
):  # fmt: skip
    """Measure at `count` steps from number `first` on, whose weights begin at `offset`, and take them.

    **Returns:** the optimizer's state; what was measured; how far the flow gets from its start meanwhile.
    """
    dtype, weights = setting.start.dtype, weights.astype(setting.start.dtype)
    empty = (
        jnp.zeros(_BLOCK, dtype), jnp.zeros((_BLOCK, len(setting.events)), dtype), jnp.full(_BLOCK, jnp.nan, dtype)
    )  # fmt: skip
    end = offset + count

    def some(k, loop):
        """Those of the steps whose rows of the path are number `k` of the pieces that the caches hold."""
        rows = _path(setting.problem.parameters, jax.lax.dynamic_slice_in_dim(weights, k * _ROWS, _ROWS), states)

        def one(i, loop):
            (parameters, memory), measured = loop
            there, t = [row[i - k * _ROWS] for row in rows], (first + i - offset) * setting.clock
            now = _measure(setting, parameters, there, flags[i], t)
            measured = tuple(x.at[i - offset].set(y) for x, y in zip(measured, now, strict=True))
            return step(setting.problem, setting.static, parameters, memory), measured

        return jax.lax.fori_loop(jnp.maximum(offset, k * _ROWS), jnp.minimum(end, (k + 1) * _ROWS), one, loop)

    state, measured = jax.lax.fori_loop(offset // _ROWS, (end - 1) // _ROWS + 1, some, (state, empty))
    last = states[0] + weights[end - 1] @ (states - states[0])
    farthest = jnp.max(jnp.linalg.norm(jnp.stack([*states, last]) - setting.start, axis=1))
    return state, measured, farthest


def _path(parameters: PyTree, weights: Array, states: Array) -> list[Array]:
    """The flow at every time, each of its arrays by itself: to join and to split them would take a pass for each."""
    sizes = np.cumsum([x.size for x in jax.tree.leaves(parameters)])[:-1]
    rows = []
    for part, x in zip(jnp.split(states, sizes, axis=1), jax.tree.leaves(parameters), strict=True):
        moved = part - part[0]  # small: the weights' rounding errors are as small
        row = part[0] + jnp.matmul(weights, moved, precision=jax.lax.Precision.HIGHEST)
        rows.append(row.reshape(len(weights), *x.shape))
    return rows


def _measure(setting: _Setting, parameters: PyTree, there: list[Array], flag: Array, t: Array) -> tuple[Array, ...]:
    dtype, moment = setting.start.dtype, Moment(setting.problem, t, parameters, setting.lift)
    conditions = [jnp.min(event.parts(moment)).astype(dtype) for event in setting.events]
    sharpness = nothing = jnp.asarray(jnp.nan, dtype)
    if setting.edge is not None:
        measure = setting.edge.measure
        sharpness = jax.lax.cond(flag, lambda: jnp.asarray(measure(moment), dtype), lambda: nothing)
    apart = [jnp.sum((x - y) ** 2) for x, y in zip(jax.tree.leaves(parameters), there, strict=True)]
    return jnp.sqrt(sum(apart)), jnp.stack(conditions) if conditions else jnp.zeros(0, dtype), sharpness
