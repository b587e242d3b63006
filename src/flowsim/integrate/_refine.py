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
from scipy.optimize import brentq, minimize_scalar

from ..events import FINE, crossings, nodes
from ..probes import measure_all
from ..result import Crossing
from ._carry import Carry, Clock, Plan, State
from ._inside import TERMS, Attempt, finished, interpolant, moment


class Peek(eqx.Module):
    """The flow at a time inside a step."""

    state: State
    clock: Clock
    values: jax.Array  # of every event
    probes: dict
    evaluations: jax.Array  # that the step took


@eqx.filter_jit
def peek(plan: Plan, clock: Clock, state: State, size) -> Peek:
    """Step from `state` by exactly `size`, and look around."""
    tried, evaluations = _fresh_step(plan, clock, state, size)
    end = tried.state
    now = clock.advance(size)
    here = moment(plan, now, end)
    values = jnp.array([jnp.min(event.parts(here)) for event in plan.events])
    return Peek(end, now, values, measure_all(plan.probes, here), evaluations)


@eqx.filter_jit
def _fine_parts(plan: Plan, clock: Clock, state: State, size, low, high):
    """Every event's parts at `FINE` Chebyshev points of a piece of a step; and the evaluations of the step."""
    tried, evaluations = _fresh_step(plan, clock, state, size)
    tried, finishing = finished(plan, clock, tried, jnp.ones((), bool))
    inside = interpolant(plan, state, tried)

    def measure(s):
        now = moment(plan, clock.advance(s), inside(s))
        return tuple(event.parts(now) for event in plan.events)

    parts = jax.lax.map(measure, size * (low + (high - low) * jnp.asarray(nodes(FINE), size.dtype)))
    return parts, evaluations + finishing


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
    clock, state, size = carry.previous_clock, carry.previous_state, carry.previous_step
    dtype, spent = size.dtype, 0

    def look(time: float) -> Peek:
        nonlocal spent
        there = peek(plan, clock, state, jnp.asarray(time, dtype))
        spent += int(there.evaluations)
        return there

    @functools.cache
    def fine(low, high):
        nonlocal spent
        parts, evaluations = _fine_parts(plan, clock, state, size, jnp.asarray(low, dtype), jnp.asarray(high, dtype))
        spent += int(evaluations)
        return [np.asarray(part, np.float64) for part in jax.device_get(parts)]

    found = []
    for i, event in enumerate(plan.events):
        if not bool(carry.look[i]):
            continue
        brackets, resolved = crossings(lambda low, high, i=i: fine(low, high)[i], int(carry.previous_signs[i]))
        for low, high, direction in brackets:
            if not _counts(event.direction, direction):
                continue
            time, refined = _solve(lambda s, i=i: float(look(s).values[i]), carry, low, high, direction)
            there = look(time)
            scalars = {k: float(v) for k, v in jax.device_get(there.probes).items() if v.ndim == 0}
            start = clock.to_host()
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
        passed = float(there.values[number]) * crossing.direction > 0
        size = jnp.asarray(crossing.time + hair - start, carry.step.dtype)
        there = peek(plan, carry.previous_clock, carry.previous_state, size)
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
