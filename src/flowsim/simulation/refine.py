"""Event times, solved for on the flow itself.

An event time read off a solver's dense output is as accurate as the dense output, not as the tolerance. Here the
interpolant only brackets; the time is the root of the event's value after a step of the solver that starts where the
accepted step started and ends at the trial time. Such a step is shorter than the accepted one, so its error is below
the tolerance.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import brentq, minimize_scalar

from .._jit import light
from ..events import FINE, crossings, nodes
from ..probes import measure_all
from ..records import Crossing
from .carry import Carry, Clock, Plan, State
from .inside import TERMS, Attempt, finished, interpolant, moment
from .recorded import recorded


class Peek(eqx.Module):
    """The flow after a step of some size, and what was seen on the way.

    **Fields:** `parts`: of every event, at the first `points` of the times that were asked for; `probes`: at the end;
    `evaluations`: that the step took.
    """

    state: State
    clock: Clock
    parts: tuple[Float[Array, "points _"], ...]
    probes: dict
    evaluations: Int[Array, ""]


@light
def _peek(plan: Plan, clock: Clock, state: State, size, *, low, high, points: Int[Array, ""]) -> Peek:
    """Step from `state` by exactly `size`, and look around: at the end (`low` = `high` = 1, `points` = 1), or at `FINE`
    Chebyshev points of a piece of the step. One program for both, as compiling a step costs more than running it."""
    tried, evaluations = _fresh_step(plan, clock, state, size)
    tried, finishing = finished(plan, clock, tried, points > 1)
    inside, times = interpolant(plan, state, tried), size * (low + (high - low) * jnp.asarray(nodes(FINE), size.dtype))

    def measure(k, found):
        now = moment(plan, clock.advance(times[k]), inside(times[k]))
        return tuple(f.at[k].set(event.parts(now)) for f, event in zip(found, plan.events, strict=True))

    now = clock.advance(size)
    here = moment(plan, now, tried.state)
    shapes = jax.eval_shape(lambda: tuple(event.parts(here) for event in plan.events))
    nothing = tuple(jnp.zeros((FINE, *x.shape), x.dtype) for x in shapes)
    parts = jax.lax.fori_loop(0, points, measure, nothing)
    return Peek(tried.state, now, parts, measure_all(plan.probes, here), evaluations + finishing)


def _peek_at(plan: Plan, carry: Carry, time: float) -> Peek:
    """The flow at a time inside the last step."""
    size, one = jnp.asarray(time, carry.step.dtype), jnp.ones_like(carry.step)
    return _peek(plan, carry.previous_clock, carry.previous_state, size, low=one, high=one, points=jnp.asarray(1))


def _value(there: Peek, event: int) -> float:
    return float(np.min(there.parts[event][0]))


def _fresh_step(plan: Plan, clock: Clock, state: State, size) -> tuple[Attempt, jax.Array]:
    """A step that trusts nothing stored: after a root find the stored slope would be that of another time.

    And the evaluations that it took.
    """
    solver, args, zero = plan.method.solver, (plan, clock), jnp.zeros_like(size)
    memory = solver.init(TERMS, zero, size, state, args)
    end, _, dense, after, _ = solver.step(TERMS, zero, size, state, args, memory, jnp.zeros((), bool))
    yes = jnp.ones((), bool)
    spent = plan.method.beginning + plan.method.evaluations(memory, after)
    return Attempt(size, yes, end, yes, yes, yes, yes, dense, (), (), size), spent


def find(plan: Plan, carry: Carry) -> tuple[list[tuple[Crossing, Peek]], int]:
    """Every crossing of the last accepted step that counts, in order of time; and the evaluations spent on them."""
    spent = 0

    def look(time: float) -> Peek:
        nonlocal spent
        there = _peek_at(plan, carry, time)
        spent += int(there.evaluations)
        return there

    @functools.cache
    def fine(low, high):
        nonlocal spent
        size, dtype = carry.previous_step, carry.step.dtype
        piece = {"low": jnp.asarray(low, dtype), "high": jnp.asarray(high, dtype), "points": jnp.asarray(FINE)}
        there = _peek(plan, carry.previous_clock, carry.previous_state, size, **piece)
        spent += int(there.evaluations)
        return [np.asarray(part, np.float64) for part in jax.device_get(there.parts)]

    found = []
    for i, event in enumerate(plan.events):
        if not bool(carry.look[i]):
            continue
        brackets, resolved = crossings(lambda low, high, i=i: fine(low, high)[i], int(carry.previous_signs[i]))
        for low, high, direction in brackets:
            if not _counts(event.direction, direction):
                continue
            time, refined = _solve(lambda s, i=i: _value(look(s), i), carry, low, high, direction)
            there = look(time)
            scalars: dict = {k: float(v) for k, v in jax.device_get(there.probes).items() if v.ndim == 0}
            scalars |= recorded(plan, i, there.clock, there.state)
            start = carry.previous_clock.to_host()
            found.append((Crossing(event.name, start + time, direction, refined, resolved, scalars), there))
    return sorted(found, key=lambda pair: pair[0].time), spent


def beyond(plan: Plan, carry: Carry, crossing: Crossing, there: Peek) -> tuple[Peek, int]:
    """The flow a hair after a crossing, where its event has the new sign for good: it must not fire once more.

    And the evaluations that it took.
    """
    number = [event.name for event in plan.events].index(crossing.event)
    start = carry.previous_clock.to_host()
    hair = 4 * np.finfo(np.dtype(carry.step.dtype)).eps * max(crossing.time, float(carry.previous_step))
    spent = 0
    for _ in range(20):
        passed = _value(there, number) * crossing.direction > 0
        there = _peek_at(plan, carry, crossing.time + hair - start)
        spent += int(there.evaluations)
        if passed:  # one hair more than was needed: the value is evaluated again, with other rounding
            break
        hair *= 2
    return there, spent


def _counts(wanted: str, direction: int) -> bool:
    return wanted == "both" or (wanted == "up") == (direction > 0)


def _solve(
    value: Callable[[float], float], carry: Carry, low: float, high: float, direction: int
) -> tuple[float, bool]:
    """The root of an event's value inside the step, as a local time; and was it found on the flow?"""
    size = float(carry.previous_step)
    if high == 0.0:
        return 0.0, True  # exactly 0 since the start
    width = (high - low) * size
    resolution = 4 * np.finfo(np.dtype(carry.step.dtype)).eps * max(carry.previous_clock.to_host(), size)
    for widen in (0.0, 1.0, 8.0, 64.0):
        a, b = max(low * size - widen * width, 0.0), min(high * size + widen * width, size)
        fa, fb = value(a), value(b)
        if fa * direction <= 0 <= fb * direction:
            if fa == 0:
                # Either the crossing itself, or the one before it with a dip between the two.
                dip: Any = minimize_scalar(lambda s: direction * value(s), bounds=(a, b), method="bounded",
                                      options={"xatol": 1e-9 * (b - a)})  # fmt: skip
                if dip.fun >= 0:
                    return a, True
                a = float(dip.x)
            tolerances: Any = {"xtol": max(resolution, 1e-300), "rtol": 8.9e-16}
            root: Any = brentq(value, a, b, **tolerances)
            return float(root), True
    return (low + high) / 2 * size, False
