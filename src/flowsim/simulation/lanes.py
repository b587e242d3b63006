"""The steps of many runs, together, as one jitted function without callbacks.

Each pass tries a step of every run that has not ended, each of its own size, saves what falls into the steps, and asks
of each event whether a sign change can be excluded. A step in which it cannot is put into a queue and looked into later
(`looks`), for all runs at once: an event that does not stop a run does not change its steps.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from .._jit import fast_compile
from ..probes import measure_all
from .advance import attempt, begin, commit, measure
from .carry import Carry, Clock, Code, Plan, State
from .inside import Attempt, Inside, finished, interpolant, moment, reads, select, until_save, watch
from .stacked import RUNS, Stacked
from .stiffness import held_back, looked_at, worth_a_look

_QUEUE = 3  # steps of one run that wait to be looked into


class Look(eqx.Module):
    """A step to be looked into: where it starts, its size, the events' signs before and after it, and which of them ask
    for the look; `at_end`: does the run end with it?"""

    clock: Clock
    state: State | None  # None where there are no events
    size: Array
    before: Int[Array, "events"]
    after: Int[Array, "events"]
    asks: Bool[Array, "events"]
    at_end: Bool[Array, ""]


class Lanes(eqx.Module):
    """Many runs on their way.

    **Fields:** `rows`: probe -> (runs, save times, …); `queue`: a `Look` of every run for each place; `filled`: how
    many of them wait; `out`: runs that this is not the way for.
    """

    carry: Carry
    rows: dict[str, Array]
    queue: tuple[Look, ...]
    filled: Int[Array, "runs"]
    out: Bool[Array, "runs"]


def stops(plan: Plan) -> bool:
    """Does an event end a run? Then nothing goes on before its steps have been looked into."""
    return any(event.terminal for event in plan.events)


@fast_compile
def start(stacked: Stacked, out: Bool[Array, "runs"]) -> Lanes:
    """All runs at their start, with their first rows."""
    carry = stacked.each(begin)
    carry = eqx.tree_at(lambda c: c.saved, carry, carry.saved + 1)
    times = jax.eval_shape(lambda: stacked.each(lambda plan: plan.saves.high)).shape[1]
    first = stacked.each(measure, carry)
    rows = jax.tree.map(lambda x: jnp.zeros((x.shape[0], times, *x.shape[1:]), x.dtype).at[:, 0].set(x), first)
    places = (1 if stops(stacked.shared) else _QUEUE) if stacked.shared.events else 0
    filled = jnp.zeros(stacked.count, jnp.int32)
    queue = (jax.vmap(_look)(carry),) * places if places else ()
    return Lanes(carry, rows, queue, filled, out)


def _look(carry: Carry) -> Look:
    """The last step."""
    return Look(
        carry.previous_clock, carry.previous_state, carry.previous_step, carry.previous_signs, carry.signs, carry.look,
        carry.code == Code.DONE,
    )  # fmt: skip


def going(lanes: Lanes, limit: Any) -> Bool[Array, "runs"]:
    """Which runs have not ended?"""
    tries = lanes.carry.steps + lanes.carry.rejected
    return (lanes.carry.code == Code.RUNNING) & (tries < limit) & ~lanes.out


def _moving(lanes: Lanes, limit: Any) -> Bool[Array, "runs"]:
    """Which of them take another step? Not those whose queue is full."""
    own = going(lanes, limit)
    return own & (lanes.filled < len(lanes.queue)) if lanes.queue else own


@eqx.filter_jit
def proceed_all(stacked: Stacked, lanes: Lanes, passes: Int[Array, ""], limit: Int[Array, ""]):
    """Up to `passes` steps of every run, each up to `limit` tries in all; fewer where most wait for a look.

    **Returns:** the lanes, and how they stand: how many move, and how many wait.
    """

    def count(lanes: Lanes):
        moving = jnp.sum(_moving(lanes, limit))
        return moving, jnp.sum(going(lanes, limit)) - moving

    def more(loop):
        taken, lanes = loop
        moving, waiting = count(lanes)
        return (taken < passes) & (moving > waiting)

    def one(loop):
        taken, lanes = loop
        return taken + 1, _pass(stacked, lanes, limit)

    _, lanes = jax.lax.while_loop(more, one, (jnp.zeros_like(passes), lanes))
    return lanes, count(lanes)


def _pass(stacked: Stacked, lanes: Lanes, limit) -> Lanes:
    carry, moving = lanes.carry, _moving(lanes, limit)
    tried = stacked.each(attempt, carry)
    accept = tried.accept & moving
    rows, seen = _seen(stacked, carry, tried, accept, lanes.rows)
    new = stacked.each(commit, carry, tried, seen, accept)
    carry = jax.vmap(select)(moving, new, carry)
    if not lanes.queue:
        return Lanes(carry, rows, (), lanes.filled, lanes.out)
    asking = moving & jnp.any(new.look, axis=1)

    def put():
        places = [
            jax.vmap(select)(asking & (lanes.filled == k), jax.vmap(_look)(new), old)
            for k, old in enumerate(lanes.queue)
        ]
        return tuple(places), lanes.filled + asking

    queue, filled = jax.lax.cond(jnp.any(asking), put, lambda: (lanes.queue, lanes.filled))
    return Lanes(carry, rows, queue, filled, lanes.out)


def _seen(stacked: Stacked, carry: Carry, tried: Attempt, accept, rows) -> tuple[dict, Inside]:
    """What the accepted steps hold: rows between their ends, and the events."""
    nothing = jnp.zeros_like(carry.steps, jnp.int32)
    never = jnp.zeros_like(accept)
    wanted = accept & stacked.each(reads, carry, tried)
    due = accept & stacked.each(_due, carry, tried, carry.saved)

    def read():
        done, spent = stacked.each(finished, carry.clock, tried, wanted)
        filled, saved = _save(stacked, carry, done, accept, rows)
        events = stacked.each(_events, carry, done)
        return filled, Inside((), nothing, saved, never, *events, spent)

    if stacked.shared.events:
        return read()
    unread = Inside((), nothing, carry.saved, never, carry.parts, carry.signs, carry.look, nothing)
    return jax.lax.cond(jnp.any(wanted | due), read, lambda: (rows, unread))


def _events(plan: Plan, carry: Carry, done: Attempt):
    return watch(plan, carry, done, interpolant(plan, carry.state, done), RUNS)


def _due(plan: Plan, carry: Carry, tried: Attempt, k) -> Bool[Array, ""]:
    """Does the k-th save time fall into the step? The run's end is not asked for: its row is the end's."""
    number = plan.saves.high.shape[0]
    return (k < number - 1) & (tried.last | (until_save(plan, carry, k) <= tried.size))


def _save(stacked: Stacked, carry: Carry, done: Attempt, accept, rows):
    """Rows at the save times inside the steps, as many passes as the step with the most of them takes."""
    lanes = jnp.arange(stacked.count)

    def due(k):
        return accept & stacked.each(_due, carry, done, k)

    def row(plan: Plan, carry: Carry, done: Attempt, k):
        s = jnp.clip(until_save(plan, carry, k), 0, done.size)
        return measure_all(plan.probes, moment(plan, carry.clock.advance(s), interpolant(plan, carry.state, done)(s)))

    def one(loop):
        k, rows = loop
        now, here = stacked.each(row, carry, done, k), due(k)
        places = jnp.where(here, k, jnp.iinfo(k.dtype).max)
        rows = jax.tree.map(lambda r, x: r.at[lanes, places].set(x, mode="drop"), rows, now)
        return k + here, rows

    k, rows = jax.lax.while_loop(lambda loop: jnp.any(due(loop[0])), one, (carry.saved, rows))
    return rows, k


@fast_compile
def stiffness(stacked: Stacked, lanes: Lanes, least: Int[Array, ""]) -> Lanes:
    """Take out the runs whose steps stability sizes, and that have at `least` so many evaluations to come."""
    wanted = ~lanes.out & stacked.each(lambda plan, carry: worth_a_look(plan, carry, least), lanes.carry)
    held, cost = jax.lax.cond(
        jnp.any(wanted),
        lambda: stacked.each(held_back, lanes.carry, wanted),
        lambda: (jnp.zeros_like(wanted), jnp.zeros_like(lanes.carry.evaluations)),
    )
    carry = jax.vmap(looked_at)(lanes.carry, cost)
    return eqx.tree_at(lambda x: (x.carry, x.out), lanes, (carry, lanes.out | held))


@fast_compile
def close(stacked: Stacked, lanes: Lanes) -> tuple[dict[str, Array], dict[str, Array]]:
    """Rows with each run's last one, where it stands; and the numbers of every run."""

    def one(plan: Plan, carry: Carry):
        _, first = plan.start()
        energies = plan.flow.energy(plan.problem, first), plan.flow.energy(plan.problem, carry.state.flow)
        return measure(plan, carry), {
            "lost": energies[0] - energies[1], "energy": jnp.maximum(*map(jnp.abs, energies)),
            "dissipated": carry.state.dissipated, "high": carry.clock.high, "low": carry.clock.low,
            "risk": plan.problem.risk(plan.flow.parameters(carry.state.flow)),
            "first_kink": carry.roughness.first,
        }, {
            "code": carry.code, "steps": carry.steps, "rejected": carry.rejected, "evaluations": carry.evaluations,
            "saved": carry.saved, "kinks": carry.roughness.kinks,
        }  # fmt: skip

    last, numbers, counts = stacked.each(one, lanes.carry)
    runs = jnp.arange(stacked.count)
    rows = jax.tree.map(lambda r, x: r.at[runs, lanes.carry.saved].set(x), lanes.rows, last)
    counts = {name: x.astype(jnp.int32) for name, x in counts.items()}  # half as much to bring to the host
    return rows, numbers | counts | {"out": lanes.out}


@fast_compile
def taken(tree: PyTree, places: Int[Array, "some"]) -> PyTree:
    """Some of the lanes, by their places."""
    return jax.tree.map(lambda x: x[places], tree)
