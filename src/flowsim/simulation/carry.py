"""The state of the loop: everything that the next step depends on, as arrays.

A checkpoint is these arrays and nothing else, so a resumed run takes the same steps to the last bit.
"""

from enum import IntEnum

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import Scalar
from ..events import Event
from ..flows import AbstractFlow
from ..moment import Lift
from ..probes import Probe
from ..problem import Problem
from ..solvers import Method

METHODS = 3  # that one run can choose between


class Code(IntEnum):
    """How the loop stands."""

    RUNNING = 0
    DONE = 1
    STEP_SIZE_FLOOR = 2
    NOT_FINITE = 3
    IMPLICIT_FAILED = 4
    EVENT = 5
    BEYOND_REACH = 6


Held = Array | np.ndarray  # where the host decides, in its memory


class State(eqx.Module):
    """What is integrated: the flow's own state, and the energy that it has dissipated since t = 0."""

    flow: PyTree
    dissipated: Scalar


class Clock(eqx.Module):
    """Time as an unevaluated sum `high + low`, so that a step far below the last digit of t is not lost.

    Every step runs on its own time, from 0 to h, and is then added here: in float32 the clock of a long run would
    otherwise stand still as soon as h is below t/10⁷.
    """

    high: Float[Array, "..."]
    low: Float[Array, "..."]

    @classmethod
    def at(cls, time, dtype) -> "Clock":
        """The clock at a float64 host time."""
        high = np.asarray(time, np.float64).astype(dtype)
        low = (np.asarray(time, np.float64) - high.astype(np.float64)).astype(dtype)
        return cls(jnp.asarray(high), jnp.asarray(low))

    def advance(self, step: Scalar) -> "Clock":
        """Two-sum (Knuth): the rounding error of high + step goes to `low`."""
        high = self.high + step
        part = high - self.high
        error = (self.high - (high - part)) + (step - part)
        low = self.low + error
        total = high + low
        return Clock(total, low - (total - high))

    def until(self, other: "Clock") -> Scalar:
        """other - self."""
        return (other.high - self.high) + (other.low - self.low)

    @property
    def value(self) -> Scalar:
        return self.high + self.low

    def to_host(self) -> float:
        return float(self.high) + float(self.low)


class Plan(eqx.Module):
    """What stays the same through a run.

    **Fields:** `origin`, `initial`: time and the flow's state at which the run starts, None for 0 and the flow's own
    start; `saves`: save times in increasing order; `capacity`: rows that a chunk can hold; `short`: is the run known to
    take less time than compiling it? `goes_back`: does a consumer read the states at which chunks began?
    """

    problem: Problem
    flow: AbstractFlow
    lift: Lift
    method: Method
    events: tuple[Event, ...]
    probes: tuple[Probe, ...]
    saves: Clock
    end: Clock
    capacity: int = eqx.field(static=True)
    short: bool = eqx.field(static=True, default=False)
    goes_back: bool = eqx.field(static=True, default=False)
    origin: Clock | None = None
    initial: PyTree | None = None

    @property
    def in_place(self) -> bool:
        """Does a chunk overwrite the state that it starts from, so that nothing can go back to before it?"""
        return self.method.in_place and not self.goes_back

    def start(self) -> tuple[Clock, PyTree]:
        """Time and the flow's state at which the run starts."""
        zero = jnp.zeros((), self.end.high.dtype)
        clock = Clock(zero, zero) if self.origin is None else self.origin
        return clock, self.flow.init(self.problem) if self.initial is None else self.initial


class Roughness(eqx.Module):
    """What the error test has seen of kinks in the velocity; see `roughness`.

    **Fields:** `error`, `size`: of the last refused try from the loop's present start, 0 if there was none; `score`:
    how many tries of late had an error that fell like the step, not like its power; `armed`: is a new kink counted
    when the score rises? `kinks`: met so far; `first`: the time of the first; `low_tries`: in all; `mark_time`,
    `mark_low`: the time and the number of such tries at the last mark.
    """

    error: Scalar
    size: Scalar
    score: Scalar
    armed: Bool[Array, ""]
    kinks: Int[Array, ""]
    first: Scalar
    low_tries: Int[Array, ""]
    mark_time: Scalar
    mark_low: Int[Array, ""]


class Choice(eqx.Module):
    """What the choice between methods remembers; see `stiff`. Methods are numbered, the explicit one is 0.

    **Fields:** `pace`: of each method the evaluations for a unit of time as last measured, infinite where unknown;
    `again`: of each the evaluations from which on it may be tried, infinite for never; `incumbent`: the method that
    went before one that is being tried, -1 if none is; `per_radius`: the explicit method's pace over the spectral
    radius, from where stability sized its steps, 0 where that is unknown; `trial_clock`, `trial_evaluations`: at the
    start of the last trial; `clock`, `evaluations`, `tries`: at the last look; `window`: tried steps from there to the
    next.
    """

    pace: Float[Held, "methods"]
    again: Float[Held, "methods"]
    incumbent: Int[Held, ""]
    per_radius: Float[Held, ""]
    trial_clock: Clock
    trial_evaluations: Int[Held, ""]
    clock: Clock
    evaluations: Int[Held, ""]
    tries: Int[Held, ""]
    window: Int[Held, ""]

    @classmethod
    def none_yet(cls, clock: Clock, window: int) -> "Choice":
        """Nothing measured, at the start of a run."""
        none, count = jnp.zeros(METHODS, clock.high.dtype), jnp.zeros((), int)
        return cls(
            none + jnp.inf, none, count - 1, jnp.zeros_like(clock.high), clock, count, clock, count, count,
            count + window,
        )  # fmt: skip


class Carry(eqx.Module):
    """What the loop carries from step to step.

    The first block is the position on the path; the second is what the solver knows; the third serves the events: the
    last accepted step (to look into it again; its state is None in a run without events), the events' parts and signs
    at its end, and which of them ask for that look; the fourth counts, and remembers.
    """

    clock: Clock
    state: State

    step: Scalar  # proposed size of the next step
    solver: PyTree
    controller: PyTree

    previous_clock: Clock
    previous_state: State | None
    previous_step: Scalar
    previous_signs: Int[Array, "events"]
    parts: tuple[Float[Array, "_"], ...]
    signs: Int[Array, "events"]
    look: Bool[Array, "events"]

    saved: Int[Array, ""]
    steps: Int[Array, ""]
    rejected: Int[Array, ""]
    evaluations: Int[Array, ""]
    rejected_in_a_row: Int[Array, ""]
    code: Int[Array, ""]
    roughness: Roughness
    choice: Choice
