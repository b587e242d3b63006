"""What is read off a step: the rows that fall into it, and whether an event may have happened.

Most steps of a run without events hold neither; then the dense output is not even computed.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from .. import _tree
from ..events import COARSE_POINTS, FEW_POINTS, is_far, may_cross, undecided
from ..moment import Moment
from ..probes import measure_all
from .carry import Carry, Clock, Plan, Roughness, State

_END = 4  # of `COARSE_POINTS`, the step's end
_PLACES = (
    (4, 2, 5),
    (1, 3, 6),
)  # of them, three at once: those of `is_far`, then the others; the last is the end, shaken
_SMALL = 1_000_000  # numbers of a state, of which three more at once do not matter


def vector_field(s, state: State, args) -> State:
    plan, clock = args
    velocity, rate = plan.flow.velocity(plan.problem, clock.advance(s).value, state.flow)
    return State(velocity, rate)


TERMS = diffrax.ODETerm(vector_field)


def moment(plan: Plan, clock: Clock, state: State) -> Moment:
    parameters = plan.flow.parameters(state.flow)
    return Moment(plan.problem, clock.value, parameters, plan.lift, plan.flow, state.flow)


def select(condition: Bool[Array, ""], x: PyTree, y: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


class Attempt(eqx.Module):
    """One tried step."""

    size: Array
    last: Array
    state: State
    error: PyTree  # as the solver estimates it: its solution less its embedded one; 0 where it gives none
    accept: Array
    finite: Array
    solved: Array  # did the solver's own iteration converge?
    reached: Array  # is there an estimate of the error? Some solvers refuse steps that would take too much work
    dense: PyTree
    solver: PyTree
    controller: PyTree
    next_size: Array
    roughness: Roughness | None  # as known after this try


class Inside(NamedTuple):
    """What a step was found to hold.

    **Fields:** `rows`, `count`, `saved`: saved rows, how many of them are filled, and the number of the next one;
    `full`: more rows fall into the step than are left; `parts`, `signs`: of the events at the step's end; `look`: which
    of them ask for the host's look; `finishing`: evaluations that the dense output took.
    """

    rows: PyTree
    count: Int[Array, ""]
    saved: Int[Array, ""]
    full: Bool[Array, ""]
    parts: tuple[Array, ...]
    signs: Int[Array, "events"]
    look: Bool[Array, "events"]
    finishing: Int[Array, ""]


def read_dense_output(plan: Plan, carry: Carry, tried: Attempt, rows: PyTree, count: Int[Array, ""]) -> Inside:
    """Save what falls into an accepted step, and watch its events."""
    nothing = jnp.zeros((), jnp.int32)
    unseen = Inside(rows, count, carry.saved, jnp.zeros((), bool), carry.parts, carry.signs, carry.look, nothing)

    def seen():
        done, finishing = finished(plan, carry.clock, tried, reads(plan, carry, tried))
        inside = interpolant(plan, carry.state, done)
        found = _save(plan, carry, done, inside, rows, count)
        return Inside(*found, *watch(plan, carry, done, inside), finishing)

    due = tried.last | (until_save(plan, carry, carry.saved) <= tried.size)
    # It always is; so the step's error has been judged, and its memory is free, before anything is read.
    judged = tried.roughness is None or tried.roughness.score >= 0
    # One branch for all of it: a loop over no rows would still copy what it might read.
    return jax.lax.cond(tried.accept & judged & (due | bool(plan.events)), seen, lambda: unseen)


def reads(plan: Plan, carry: Carry, tried: Attempt) -> Bool[Array, ""]:
    """Is anything read off between the step's ends, where the states are known?"""
    if plan.events:
        return jnp.ones((), bool)
    times = jnp.stack([until_save(plan, carry, carry.saved + k) for k in (0, 1)])  # the first may be the step's start
    return jnp.any((times > 0) & (times < tried.size))


def until_save(plan: Plan, carry: Carry, k) -> Array:
    """From the step's start to the k-th save time; the last one's for larger k."""
    number = plan.saves.high.shape[0]
    return carry.clock.until(jax.tree.map(lambda x: x[jnp.minimum(k, number - 1)], plan.saves))


def finished(plan: Plan, clock: Clock, tried: Attempt, wanted: Bool[Array, ""]) -> tuple[Attempt, Int[Array, ""]]:
    """The step with its dense output, if that is wanted, and the evaluations that it took."""
    cost, solver = plan.method.finish, cast(Any, plan.method.solver)  # a method with a cost of finishing has `finish`
    if cost is None:
        return tried, jnp.zeros((), jnp.int32)

    def finish():
        return solver.finish(TERMS, jnp.zeros_like(tried.size), tried.size, (plan, clock), tried.dense)

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(finish))
    made = jax.lax.cond(wanted, finish, lambda: nothing)
    dense = {name: tried.dense[name] for name in solver.kept} | made  # what is kept as it is would be copied there
    return eqx.tree_at(lambda a: a.dense, tried, dense), jnp.where(wanted, cost, 0).astype(jnp.int32)


def _save(plan: Plan, carry: Carry, tried: Attempt, inside, rows, count):
    """Measure the probes at every save time inside the step, while rows last."""
    number = plan.saves.high.shape[0]

    def due(k):
        return (k < number) & (tried.last | (until_save(plan, carry, k) <= tried.size))

    def more(loop):
        k, _, count = loop
        return due(k) & (count < plan.capacity)

    def measure(loop):
        k, rows, count = loop
        s = jnp.clip(until_save(plan, carry, k), 0, tried.size)
        now = measure_all(plan.probes, moment(plan, carry.clock.advance(s), inside(s)))
        return k + 1, jax.tree.map(lambda r, x: r.at[count].set(x), rows, now), count + 1

    saved, rows, count = jax.lax.while_loop(more, measure, (carry.saved, rows, count))
    return rows, count, saved, due(saved)


def interpolant(plan: Plan, start: State, tried: Attempt):
    """The state at a time s of a step, 0 ≤ s ≤ its size."""
    zero = jnp.zeros_like(tried.size)
    dense = plan.method.solver.interpolation_cls(t0=zero, t1=tried.size, **tried.dense)

    def inside(s):
        # At the ends the states are known; the dense output agrees with them only to rounding.
        state = select(s >= tried.size, tried.state, dense.evaluate(s))
        return select(s <= 0, start, state)

    return inside


def watch(plan: Plan, carry: Carry, tried: Attempt, inside, together: str | None = None):
    """Each event's parts and sign at the step's end, and whether the step must be looked into.

    **Arguments:** `together`: the name of the axis of many runs, which ask for the second points side by side.
    """
    if not plan.events:
        return carry.parts, carry.signs, carry.look
    times = tried.size * jnp.asarray(COARSE_POINTS, tried.size.dtype)
    count = len(times)
    end_clock, end_state = shaken(carry.clock, tried)
    each = jax.vmap if _tree.size(tried.state) <= _SMALL else lambda measure: partial(jax.lax.map, measure)

    def measure(place):
        s, last = times[jnp.minimum(place, count - 1)], place == count
        clock = select(last, end_clock, carry.clock.advance(s))
        here = moment(plan, clock, select(last, end_state, inside(s)))
        return tuple(event.parts(here) for event in plan.events)

    def more(loop):
        k, _, asked = loop
        return (k == 0) | ((k == 1) & asked)

    def one(loop):
        k, found, _ = loop
        places = jnp.asarray(_PLACES)[k]
        found = tuple(f.at[places].set(x) for f, x in zip(found, each(measure)(places), strict=True))
        few = (f[jnp.asarray(FEW_POINTS)] for f in found)
        asked = jnp.any(jnp.array([~is_far(values, sign) for values, sign in zip(few, carry.signs, strict=True)]))
        return k + 1, found, asked if together is None else jax.lax.pmax(asked, together)

    buffer = tuple(jnp.zeros((count + 1, *p.shape), p.dtype).at[0].set(p) for p in carry.parts)
    k, found, _ = jax.lax.while_loop(more, one, (jnp.zeros((), jnp.int32), buffer, jnp.zeros((), bool)))

    def judged():
        may = [may_cross(f[:count], sign) for f, sign in zip(found, carry.signs, strict=True)]
        vague = [undecided(f[:count], f[count]) for f in found]
        return jnp.array(may), jnp.array(vague)

    never = jnp.zeros_like(carry.look)
    may, vague = jax.lax.cond(k == 2, judged, lambda: (never, never))
    parts = tuple(f[_END] for f in found)
    new = jnp.array([sign_of(p) for p in parts], jnp.int32)
    return parts, jnp.where((new == 0) | vague, carry.signs, new), may & ~vague


def shaken(clock: Clock, tried: Attempt) -> tuple[Clock, State]:
    """A step's end as its own uncertainty would have it: the embedded solution, each number off by a few roundings."""
    eps = 4 * jnp.finfo(tried.size.dtype).eps

    def off(x, error):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return x
        # Signs from Knuth's multiplicative hash of the index: no sum over entries cancels by design.
        bits = jnp.arange(x.size, dtype=jnp.uint32) * jnp.uint32(2654435761) >> 31
        return x - error + eps * x * (1 - 2 * bits.astype(x.dtype)).reshape(x.shape)

    now, state = clock.advance(tried.size), jax.tree.map(off, tried.state.flow, tried.error.flow)
    return now.advance(eps * now.value), State(state, tried.state.dissipated)


def sign_of(parts):
    return jnp.sign(jnp.min(parts)).astype(jnp.int32)
