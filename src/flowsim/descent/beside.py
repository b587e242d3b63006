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
from ..simulation import AbstractConsumer, Chunk, Clock, History, Prepared, run
from .track import Static, Track, step

_NUMBERS = 2e6  # of the path in memory at once: more leave the caches, and cost twice the time


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


class _Path(eqx.Module):
    def __call__(self, moment: Moment) -> Array:
        return jax.flatten_util.ravel_pytree(moment.parameters)[0]


class _Setting(eqx.Module):
    """What stays the same from step to step."""

    problem: Problem
    lift: Lift
    events: tuple
    edge: Probe | None
    static: Static
    start: Array
    clock: Array  # time of one step


def beside(prepared: Prepared, track: Track, *, edge: Probe | None, at: np.ndarray, padded: int = 0) -> Steps:
    """Integrate the flow, which saves at every step's time, and take the steps beside it.

    The path is used chunk by chunk, so that it is never in memory as a whole. The track ends one step after the last.

    **Arguments:** `prepared`: the flow, whose save times are the steps'. `edge`: measured on descent at the steps `at`;
    None spares its compilation. `padded`: runs of up to so many steps share one compiled program; the flow is read at
    its end over and over again to fill up.
    """
    plan = prepared.plan
    start = jax.flatten_util.ravel_pytree(plan.problem.parameters)[0]
    capacity = int(np.clip(_NUMBERS / start.size, 8, plan.capacity))
    path = Probe("path", None, "parameters", "1", _Path())
    saves = _padded(plan.saves, padded + 1)
    plan = dataclasses.replace(plan, probes=(path,), capacity=capacity, saves=saves)
    clock = jnp.asarray(prepared.save_times[1] - prepared.save_times[0], plan.end.high.dtype)
    setting = _Setting(plan.problem, plan.lift, plan.events, edge, track.static, start, clock)
    asked = np.zeros(len(prepared.save_times), bool)
    asked[at] = True
    consumer = _Beside(setting, track, asked, capacity)
    history = run(dataclasses.replace(prepared, plan=plan, keep_rows=False), consumer)
    crossings = {crossing.event: crossing.time for crossing in reversed(history.crossings)}  # the first of each
    assert history.status is not None
    distance, travelled, conditions, sharpness = (np.concatenate(parts) for parts in zip(*consumer.found, strict=True))
    return Steps(distance, travelled, conditions, sharpness, history.status, crossings)


class _Beside(AbstractConsumer):
    """Takes the optimizer's steps up to where the flow is."""

    def __init__(self, setting: _Setting, track: Track, asked: np.ndarray, capacity: int):
        self._setting, self._track, self._asked, self._capacity = setting, track, asked, capacity
        self.found = []

    def begin(self, prepared: Prepared, history: History) -> None:
        pass

    def take(self, chunk: Chunk, history: History) -> Status | None:
        track, first, count = self._track, self._track.done, len(chunk.times)
        rows = _filled(chunk.rows["path"][:count], self._capacity)
        flags = _filled(self._asked[first : first + count], self._capacity)

        def take(number: int) -> None:
            """Measure at so many steps, against their rows, and take them."""
            where = (jnp.asarray(track.done - first), jnp.asarray(track.done), jnp.asarray(number))
            track.state, measured = _advance(self._setting, track.state, rows, flags, *where)
            self.found.append([np.asarray(x)[:number] for x in measured])

        track.until(first + count, take)


def _filled(values: np.ndarray, length: int) -> Array:
    """Of one length whatever is there, so that one compiled program takes all chunks."""
    full = np.zeros((length, *values.shape[1:]), values.dtype)
    full[: len(values)] = values
    return jnp.asarray(full)


def _padded(saves: Clock, length: int) -> Clock:
    missing = max(length - saves.high.shape[0], 0)
    return jax.tree.map(lambda x: jnp.pad(x, (0, missing), mode="edge"), saves)


@eqx.filter_jit
def _advance(setting: _Setting, state: PyTree, rows: Array, flags: Array, offset: Array, first: Array, count: Array):
    """Measure at `count` steps from number `first` on, whose rows begin at `offset`, and take them."""
    dtype = setting.start.dtype
    length = rows.shape[0]
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
