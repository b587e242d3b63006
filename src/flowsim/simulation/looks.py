"""Event times of many runs at once, on the device.

As in `refine`, the polynomials of a step guess and the time is solved for on the flow itself, by the secant method on
steps of the solver that start where the accepted step started. What asks for more care than `events.roots` takes, or
than the secant method gives, is called hard.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._jit import fast_compile
from ..events import POINTS, sign_changes
from ..events.exclude import nodes
from ..probes import measure_all
from .carry import Clock, Code, Plan, State
from .inside import Attempt, interpolant, moment, select, shaken
from .lanes import Lanes, Look
from .refine import SECANT_STEPS, counts, retaken
from .stacked import Stacked


class Guesses(eqx.Module):
    """The sign changes that count in a run's step, the earliest first, those that are none at the end.

    **Fields:** `event`: its number; `time`, `low`, `high`: of the polynomial's root and around it, from the step's
    start; `slope`: by time; `noise`: of the value, from roundings; `number`: how many there are; `hard`: does the step
    need a closer look? `spent`: evaluations.
    """

    event: Int[Array, "places"]
    time: Float[Array, "places"]
    low: Float[Array, "places"]
    high: Float[Array, "places"]
    slope: Float[Array, "places"]
    noise: Float[Array, "places"]
    direction: Int[Array, "places"]
    number: Int[Array, ""]
    hard: Bool[Array, ""]
    spent: Int[Array, ""]


class Solved(eqx.Module):
    """One crossing of every run that has one (`valid`), solved for on the flow.

    **Fields:** `slope`: of the event by time; `noise`: of its value, from roundings; `scalars`, `records`: what is
    measured there, the records by the event's number; `clock`, `state`: there; `failed`: the secant method did not find
    it; `spent`: evaluations.
    """

    valid: Bool[Array, "*runs"]
    event: Int[Array, "*runs"]
    direction: Int[Array, "*runs"]
    slope: Float[Array, "*runs"]
    noise: Float[Array, "*runs"]
    scalars: dict[str, Array]
    records: dict[int, dict[str, Array]]
    clock: Clock
    state: State
    failed: Bool[Array, "*runs"]
    spent: Int[Array, "*runs"]


@eqx.filter_jit
def guess(stacked: Stacked, look: Look, waiting: Bool[Array, "runs"]) -> Guesses:
    """The sign changes in one step of every run that is `waiting`."""
    return stacked.some(_guess, waiting, look)


def _guess(plan: Plan, look: Look) -> Guesses:
    tried, spent = retaken(plan, look.clock, look.state, look.size, jnp.ones((), bool))
    values, noise = _parts(plan, look, tried), _noise(plan, look, tried)
    found = [sign_changes(v, n, sign, look.at_end) for v, n, sign in zip(values, noise, look.before, strict=True)]
    places = jnp.arange(found[0].low.shape[0])
    asked = [
        counts(event.direction, f.direction) & (places < f.count) & look.asks[i]
        for i, (event, f) in enumerate(zip(plan.events, found, strict=True))
    ]
    moved = jnp.array([f.sign for f in found]) != look.after
    hard = jnp.any((jnp.array([f.hard for f in found]) | moved) & look.asks)
    valid, event = jnp.concatenate(asked), jnp.repeat(jnp.arange(len(found)), len(places))
    low, high, time, slope, noise, direction = (
        jnp.concatenate([getattr(f, name) for f in found])
        for name in ("low", "high", "guess", "slope", "noise", "direction")
    )
    order = jnp.argsort(jnp.where(valid, time, jnp.inf))
    size = look.size
    columns = (event, time * size, low * size, high * size, slope / size, noise, direction)
    return Guesses(*(x[order] for x in columns), jnp.sum(valid), hard, spent)


def _parts(plan: Plan, look: Look, tried: Attempt) -> tuple[Float[Array, "points _"], ...]:
    """Of every event, at the Chebyshev points of the step."""
    inside = interpolant(plan, look.state, tried)

    def at(s):
        here = moment(plan, look.clock.advance(s), inside(s))
        return tuple(event.parts(here) for event in plan.events)

    return jax.lax.map(at, look.size * jnp.asarray(nodes(POINTS), look.size.dtype))


def _noise(plan: Plan, look: Look, tried: Attempt) -> list[Float[Array, "_"]]:
    """What a few roundings of the state and the clock make of the events' parts."""
    exact = eqx.tree_at(lambda a: a.error, tried, jax.tree.map(jnp.zeros_like, tried.error))
    end, off = moment(plan, look.clock.advance(tried.size), tried.state), moment(plan, *shaken(look.clock, exact))
    return [jnp.abs(event.parts(end) - event.parts(off)) for event in plan.events]


class _Place(eqx.Module):
    """Where the secant method stands in one run.

    **Fields:** `time`: to look at next, `before` after the last one; `value`, `state`: of the last look.
    """

    time: Array
    slope: Array
    before: Array
    value: Array
    state: State
    done: Array
    failed: Array
    spent: Array


@eqx.filter_jit
def solve(stacked: Stacked, look: Look, guesses: Guesses, k: Int[Array, ""]) -> Solved:
    """The k-th sign change of every run that has so many."""
    valid = (k < guesses.number) & ~guesses.hard
    names = ("event", "time", "low", "high", "slope", "noise", "direction")
    return stacked.some(_solve, valid, look, *(getattr(guesses, name)[:, k] for name in names))


def _solve(plan: Plan, look: Look, event, time, low, high, slope, noise, direction) -> Solved:
    size, width = jnp.maximum(jnp.abs(look.clock.value), look.size), high - low
    resolution = jnp.maximum(4 * jnp.finfo(size.dtype).eps * size, jnp.finfo(size.dtype).tiny)
    nothing, no = jnp.zeros_like(time), jnp.zeros((), bool)
    place = _Place(time, slope, nothing + jnp.inf, nothing, look.state, no, no, jnp.zeros((), int))

    def more(loop):
        count, place = loop
        return (count <= SECANT_STEPS) & ~place.done & ~place.failed

    def one(loop):
        count, place = loop
        seen = _at(plan, look, place.time, event)
        return count + 1, _moved(place, *seen, resolution, look.size, low - width, high + width)

    _, place = jax.lax.while_loop(more, one, (jnp.zeros((), int), place))
    clock = look.clock.advance(place.time)
    scalars, records = _measured(plan, clock, place.state)
    failed = place.failed | ~place.done
    return Solved(~no, event, direction, slope, noise, scalars, records, clock, place.state, failed, place.spent)


def _at(plan: Plan, look: Look, time, event) -> tuple[Array, State, Int[Array, ""]]:
    """The event's value after a step of the size `time`, the flow there, and the evaluations that it took."""
    tried, spent = retaken(plan, look.clock, look.state, time, jnp.zeros((), bool))
    here = moment(plan, look.clock.advance(time), tried.state)
    values = jnp.stack([jnp.min(event.parts(here)) for event in plan.events])
    return values[event], tried.state, spent


def _moved(place: _Place, value, state, spent, resolution, size, low, high) -> _Place:
    """Is the time found, is it lost, or where to look next? The rules are those of `refine`."""
    active = ~place.done & ~place.failed
    far = active & jnp.isfinite(place.before) & (jnp.abs(place.before) > 1e3 * resolution)
    secant = (value - place.value) / jnp.where(far, place.before, 1)
    turned = far & (secant * place.slope <= 0)
    slope = jnp.where(far & ~turned, secant, place.slope)
    move = -value / slope
    length, before, to = jnp.abs(move), jnp.abs(place.before), place.time + move
    near = (length <= resolution) | ((length >= before / 2) & (length <= 1e-9 * size))
    inside = (to >= jnp.maximum(low, 0)) & (to <= jnp.minimum(high, size)) & (length < before)
    done, failed = active & ~turned & near, active & (turned | (~near & ~inside))
    going = active & ~done & ~failed
    return _Place(
        jnp.where(going, to, place.time),
        slope,
        jnp.where(going, move, place.before),
        jnp.where(active, value, place.value),
        select(active, state, place.state),
        place.done | done,
        place.failed | failed,
        place.spent + jnp.where(active, spent, 0).astype(place.spent.dtype),
    )


def _measured(plan: Plan, clock: Clock, state: State) -> tuple[dict, dict]:
    """The scalar probes, and what the events record."""
    here = moment(plan, clock, state)
    scalars = {name: x for name, x in measure_all(plan.probes, here).items() if x.ndim == 0}
    records = {
        number: {name: measure(here) for name, measure in event.records.items()}
        for number, event in enumerate(plan.events)
        if event.records
    }
    return scalars, records


@fast_compile
def settle(stacked: Stacked, lanes: Lanes, solved: Solved) -> Lanes:
    """Runs whose crossing is terminal end there; rows after it are forgotten."""
    terminal = jnp.asarray(np.array([event.terminal for event in stacked.shared.events]))
    here = solved.valid & ~solved.failed & terminal[solved.event] & (lanes.carry.code != Code.EVENT) & ~lanes.out

    def before(plan: Plan, clock: Clock):
        times = plan.saves
        return jnp.sum((times.high - clock.high) + (times.low - clock.low) < 0)

    carry = lanes.carry
    saved = jnp.minimum(carry.saved, stacked.each(before, solved.clock).astype(carry.saved.dtype))
    code = jnp.full_like(carry.code, Code.EVENT)
    ended = eqx.tree_at(
        lambda c: (c.clock, c.state, c.code, c.saved), carry, (solved.clock, solved.state, code, jnp.maximum(saved, 1))
    )
    return eqx.tree_at(lambda x: x.carry, lanes, jax.vmap(select)(here, ended, carry))


@fast_compile
def looked(lanes: Lanes, hard: Bool[Array, "runs"]) -> Lanes:
    """With nothing in the queue, and without the runs that need more care."""
    return eqx.tree_at(lambda x: (x.filled, x.out), lanes, (jnp.zeros_like(lanes.filled), lanes.out | hard))
