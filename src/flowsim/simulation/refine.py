"""Event times, solved for on the flow itself.

An event time read off a solver's dense output is as accurate as the dense output, not as the tolerance. Here the
polynomials of a step (`events.scan`) only guess; the time is the root of the event's value after a step of the solver
that starts where the accepted step started and ends at the trial time. Such a step is shorter than the accepted one, so
its error is below the tolerance. From the guess two or three such steps are enough.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.optimize import brentq

from .. import _tree
from .._jit import fast_compile, prompt_compile
from ..events import MAX_POINTS, Candidate, search
from ..probes import measure_all
from ..records import Crossing
from .carry import Carry, Clock, Code, Plan, State
from .inside import TERMS, Attempt, finished, interpolant, moment, shaken
from .recorded import recorded

SECANT_STEPS = 8  # of the secant method, before bisection takes over


class Sight(eqx.Module):
    """What was seen along a step.

    **Fields:** `parts`: of every event, at the first of the times that were asked for; `probes`: at the last of them,
    if they were asked for.
    """

    parts: tuple[Float[Array, "points _"], ...]
    probes: dict


class Reading(NamedTuple):
    """The flow after a step of some size, the number of events' parts there, and how to measure the probes."""

    state: State
    clock: Clock
    parts: tuple[Float[Array, "points _"], ...]
    probes: Callable[[], dict]


def retaken(plan: Plan, clock: Clock, state: State, size, dense: Bool[Array, ""]) -> tuple[Attempt, Int[Array, ""]]:
    """Step from `state` by exactly `size`, and the evaluations that it took; `dense`: with its dense output.

    It trusts nothing stored: after a root find the stored slope would be that of another time.
    """
    solver, args, zero = plan.method.solver, (plan, clock), jnp.zeros_like(size)
    memory = solver.init(TERMS, zero, size, state, args)
    end, error, output, after, _ = solver.step(TERMS, zero, size, state, args, memory, jnp.zeros((), bool))
    yes = jnp.ones((), bool)
    spent = plan.method.beginning + plan.method.evaluations(memory, after)
    error = jax.tree.map(jnp.zeros_like, end) if error is None else error
    tried, finishing = finished(
        plan, clock, Attempt(size, yes, end, error, yes, yes, yes, yes, output, (), (), size, None), dense
    )
    return tried, spent + finishing


_retake = prompt_compile(retaken)


@fast_compile
def _later(clock: Clock, size: Array) -> Clock:
    return clock.advance(size)


@fast_compile
def _see(plan: Plan, clock: Clock, state: State, tried: Attempt, times, points: Int[Array, ""], probed) -> Sight:
    """The events' parts at `points` of these times of a step; and the probes at the last of them, if `probed`."""
    inside = interpolant(plan, state, tried)

    def at(k):
        return moment(plan, clock.advance(times[k]), inside(times[k]))

    def measure(k, found):
        return tuple(f.at[k].set(event.parts(at(k))) for f, event in zip(found, plan.events, strict=True))

    shapes = jax.eval_shape(lambda: tuple(event.parts(at(0)) for event in plan.events))
    parts = jax.lax.fori_loop(0, points, measure, tuple(jnp.zeros((MAX_POINTS, *x.shape), x.dtype) for x in shapes))
    probes = jax.eval_shape(lambda: measure_all(plan.probes, at(0)))
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), probes)
    return Sight(parts, jax.lax.cond(probed, lambda: measure_all(plan.probes, at(points - 1)), lambda: nothing))


@fast_compile
def _shaken(clock: Clock, tried: Attempt) -> tuple[Clock, Attempt]:
    """A step whose end is off by a few roundings, and the time at which it begins, off as well."""
    exact = eqx.tree_at(lambda a: a.error, tried, jax.tree.map(jnp.zeros_like, tried.error))
    now, state = shaken(clock, exact)
    return now.advance(-exact.size), eqx.tree_at(lambda a: a.state, tried, state)


class _Step:
    """An accepted step, to be looked into: its dense output, and the steps of other sizes from its start."""

    def __init__(self, plan: Plan, carry: Carry):
        self.plan, self.clock, self.state = plan, carry.previous_clock, carry.previous_state
        self.size, self._dtype = float(carry.previous_step), carry.step.dtype
        self.eps = float(jnp.finfo(self._dtype).eps)
        self.start = self.clock.to_host()
        self.spent, self.retaken = 0, 0
        self._sampled: dict[tuple, list[np.ndarray]] = {}
        # What a time is known to: a few roundings of the clock.
        self.resolution = max(4 * self.eps * max(self.start, self.size), 1e-300)

    def retake(self, size: float, *, dense: bool = False) -> Attempt:
        tried, spent = _retake(self.plan, self.clock, self.state, jnp.asarray(size, self._dtype), jnp.asarray(dense))
        self.spent, self.retaken = self.spent + int(spent), self.retaken + 1
        return tried

    def see(self, tried: Attempt, times: np.ndarray, *, clock: Clock | None = None, probed: bool = False) -> Sight:
        padded = np.zeros(MAX_POINTS)
        padded[: len(times)] = times
        clock = self.clock if clock is None else clock
        args = jnp.asarray(padded, self._dtype), jnp.asarray(len(times)), jnp.asarray(probed)
        return _see(self.plan, clock, self.state, tried, *args)

    def at(self, time: float) -> Reading:
        """The flow after a step of the size `time`."""
        tried = self.retake(time)
        end = np.array([float(tried.size)])
        parts = _tree.on_host(self.see(tried, end).parts)
        now = _later(self.clock, tried.size)
        return Reading(tried.state, now, parts, lambda: _tree.on_host(self.see(tried, end, probed=True).probes))

    @functools.cached_property
    def whole(self) -> Attempt:
        return self.retake(self.size, dense=True)

    @functools.cached_property
    def noise(self) -> list[np.ndarray]:
        """Of every event's parts: what a few roundings of the state and the clock make of them."""
        back, off = _shaken(self.clock, self.whole)
        end = np.array([self.size])
        here, there = _tree.on_host((self.see(self.whole, end).parts, self.see(off, end, clock=back).parts))
        return [np.asarray(np.abs(a[0] - b[0]), np.float64) for a, b in zip(here, there, strict=True)]

    def sample(self, low: float, high: float, points: tuple[float, ...]) -> list[np.ndarray]:
        """Every event's parts at these fractions of that piece of the step, which all events ask for in turn."""
        asked = (low, high, points)
        if asked not in self._sampled:
            times = self.size * (low + (high - low) * np.asarray(points))
            seen = _tree.on_host(self.see(self.whole, times).parts)
            self._sampled[asked] = [np.asarray(part[: len(points)], np.float64) for part in seen]
        return self._sampled[asked]


class Looked(NamedTuple):
    """What the host found in a step.

    **Fields:** `crossings`: those that count, in order of time, each with the flow there; `signs`: of the events at the
    step's end; `spent`: evaluations.
    """

    crossings: list[tuple[Crossing, Reading]]
    signs: np.ndarray
    spent: int


def find(plan: Plan, carry: Carry) -> Looked:
    """Every crossing of the last accepted step that counts."""
    step, found, signs, asked = _Step(plan, carry), [], np.array(carry.signs), np.asarray(carry.look)
    at_end, before = int(carry.code) == Code.DONE, np.asarray(carry.previous_signs)
    for i, event in enumerate(plan.events):
        if not asked[i]:
            continue

        def sample(low: float, high: float, points: np.ndarray, i=i) -> np.ndarray:
            return step.sample(low, high, tuple(points.tolist()))[i]

        seen = search(sample, step.noise[i], step.eps, int(before[i]), at_end=at_end)
        signs[i] = seen.sign
        for candidate in seen.candidates:
            if not counts(event.direction, candidate.direction):
                continue
            time, there, refined = _solve(step, i, candidate)
            scalars: dict = {k: float(v) for k, v in there.probes().items() if np.ndim(v) == 0}
            scalars |= recorded(plan, i, there.clock, there.state)
            slope = candidate.slope / step.size if candidate.smooth else 0.0
            noise = float(step.noise[i][np.argmin(there.parts[i][0])])
            what = (candidate.direction, refined, seen.resolved, scalars, slope, noise)
            found.append((Crossing(event.name, step.start + time, *what), there))
    return Looked(sorted(found, key=lambda pair: pair[0].time), signs, step.spent)


def beyond(plan: Plan, carry: Carry, crossing: Crossing, there: Reading) -> tuple[Reading, int]:
    """The flow a few roundings after a crossing, where its event has the new sign for good: it must not fire once more.

    And the evaluations that it took.
    """
    number = [event.name for event in plan.events].index(crossing.event)
    step = _Step(plan, carry)
    nudge = 4 * step.eps * max(crossing.time, step.size)
    for _ in range(20):
        passed = _value(there, number) * crossing.direction > 0
        there = step.at(crossing.time + nudge - step.start)
        if passed:  # one nudge more than was needed: the value is evaluated again, with other rounding
            break
        nudge *= 2
    return there, step.spent


def _value(there: Reading, event: int) -> float:
    return float(np.min(there.parts[event][0]))


def counts(wanted: str, direction):
    """Is a crossing in this direction asked for? Of a number or of an array."""
    return (direction != 0) & (wanted == "both" or (direction > 0) == (wanted == "up"))


def _solve(step: _Step, event: int, candidate: Candidate) -> tuple[float, Reading, bool]:
    """The time of a sign change within the step, the flow there, and was it found on the flow?"""
    if candidate.high == 0.0 or candidate.low == 1.0:  # left 0 at the start, or arrived at it at the run's end
        time = candidate.guess * step.size
        return time, step.at(time), True
    solved = _secant(step, event, candidate) if candidate.smooth and candidate.slope != 0 else None
    return _bisection(step, event, candidate) if solved is None else (*solved, True)


def _secant(step: _Step, event: int, candidate: Candidate) -> tuple[float, Reading] | None:
    """From the polynomial's root and slope; None if that leads nowhere, as where two roots are very close."""
    time, slope = candidate.guess * step.size, candidate.slope / step.size
    width = (candidate.high - candidate.low) * step.size
    low, high = candidate.low * step.size - width, candidate.high * step.size + width
    before, there = np.inf, step.at(time)
    for _ in range(SECANT_STEPS):
        value = _value(there, event)
        move = -value / slope
        if abs(move) <= step.resolution or (abs(move) >= abs(before) / 2 and abs(move) <= 1e-9 * step.size):
            return time, there  # as near as time, or the value's own rounding, can tell
        if not (max(low, 0.0) <= time + move <= min(high, step.size)) or abs(move) >= abs(before):
            return None
        time, before = time + move, move
        there = step.at(time)
        if abs(move) > 1e3 * step.resolution:
            secant = (_value(there, event) - value) / move
            if secant * slope <= 0:
                return None
            slope = secant
    return None


def _bisection(step: _Step, event: int, candidate: Candidate) -> tuple[float, Reading, bool]:
    """Between the nearest places around the guess where the flow itself has the old and the new sign."""

    def value(time: float) -> float:
        return _value(step.at(time), event) * candidate.direction

    guess, size = candidate.guess * step.size, step.size
    reach = max(16 * step.resolution, 1e-12 * size)
    while True:
        low, high = max(guess - reach, 0.0), min(guess + reach, size)
        below, above = value(low), value(high)
        if below <= 0 < above:
            break
        if low == 0.0 and high == size:
            return guess, step.at(guess), False
        reach *= 32
    if candidate.smooth and below < 0:
        tolerances: Any = {"xtol": step.resolution, "rtol": 8.9e-16}
        root, told = brentq(value, low, high, **tolerances, full_output=True, disp=False)
        if told.converged:  # not at a root of high order
            return float(root), step.at(float(root)), True
    while high - low > step.resolution:
        middle = (low + high) / 2
        low, high = (low, middle) if value(middle) > 0 else (middle, high)
    return high, step.at(high), True
