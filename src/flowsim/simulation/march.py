"""The host's side of the loop: what a chunk gave, and how the run goes on from there."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._jit import fast_compile
from .._types import Scalar
from ..flows import AbstractSwitched
from ..records import Crossing, Status
from .advance import restart
from .blow_up import blow_up
from .carry import Carry, Code, Plan
from .refine import beyond, find
from .roughness import slides
from .stiff import Methods, due, give_up, reconsider, until_look

_LOOK = "look at the loss (overflow?) and the initial scale"
_REMEDY = {
    Code.STEP_SIZE_FLOOR: (
        "step_size_floor",
        "the error test asked for steps below the resolution of time",
        "loosen solver.rtol, or use the `stabilized` solver if the flow is stiff; a rough risk has no remedy",
    ),
    Code.NOT_FINITE: (
        "not_finite",
        "the risk or its gradient is not finite from here on, however small the step",
        f"{_LOOK}; the last good state is saved",
    ),
    Code.IMPLICIT_FAILED: (
        "implicit_failed",
        "the implicit solver's Newton iteration failed, however small the step",
        "use an explicit or the `stabilized` solver, or loosen solver.rtol",
    ),
    Code.BEYOND_REACH: (
        "beyond_reach",
        "a step asks for more work than the solver takes for one (or its error overflows)",
        "shorten solver.step or leave it out, loosen solver.rtol, or use another solver",
    ),
}
_SMOOTH = "use a smooth activation or loss (gelu, tanh, softplus; squares for absolute values)"
_INSTANT = 64.0  # roundings of a time within which two crossings are simultaneous
FAILURES = frozenset(kind for kind, _, _ in _REMEDY.values())


@dataclasses.dataclass(frozen=True)
class Chunk:
    """What one chunk gave.

    **Fields:** `carry`: where the loop stands, all that a checkpoint needs, None in a chunk that was read
    back; `times`, `rows`: saved probes; `crossings`: events found, in order of time; `event_evaluations`: velocities
    spent on finding them; `status`: None while it runs; `reached`, `solver`: time at its end, and the method with which
    the run goes on from there.
    """

    carry: Any
    times: np.ndarray
    rows: dict[str, np.ndarray]
    crossings: tuple[Crossing, ...]
    event_evaluations: int
    status: Status | None
    reached: float
    solver: str


class March:
    """Where one run stands between two chunks, and every decision that is made there.

    The loop in `run` computes chunks, of one run or of a batch of them, and hands each over to its run's march. Chunk
    borders depend on the plan alone: a run that starts from a stored carry gives the same chunks.

    **Arguments:** `carry`, `solver`: of the last chunk of a resumed run; None for a new one, whose carry is set before
    its first chunk.
    """

    def __init__(
        self,
        methods: Methods,
        save_times: np.ndarray,
        *,
        chunk_steps: int,
        max_steps: int,
        carry: Carry | None = None,
        solver: str | None = None,
    ):
        self.methods, self.plan, self.carry = methods, methods.named(solver), carry
        self._save_times, self._max_steps = save_times, max_steps
        self._chunk_steps = chunk_steps

    @property
    def budget(self) -> int:
        """Steps that the next chunk may try."""
        carry = cast(Carry, self.carry)
        most = self._chunk_steps if not self.methods.stiff else min(self._chunk_steps, max(until_look(carry), 1))
        return min(most, self._max_steps - int(carry.steps) - int(carry.rejected))

    def accept(self, carry: Carry, rows: Mapping[str, np.ndarray], count: int) -> Chunk:
        """What a chunk gave, and the carry from which the run goes on.

        **Arguments:** `carry`: at the chunk's end; `rows`: saved probes, of which `count` are filled.
        """
        began, plan = cast(Carry, self.carry), self.plan
        carry = jax.tree.map(jnp.asarray, carry) if self._concerns_host(carry) else carry
        saved = int(began.saved)
        times = self._save_times[saved : saved + count]  # fewer than rows where save times were padded
        own = {name: values[: len(times)].copy() for name, values in rows.items()}
        chunk = digest(plan, carry, times, own, self._max_steps)
        if not _finite(plan, chunk):
            chunk = _lost(plan, began, chunk)
        # Rows that came full leave a step that was tried and not taken: it belongs to the method that tried it.
        if chunk.status is None and count < plan.capacity and self._due(chunk.carry):
            self.plan, carry = reconsider(self.methods, plan, chunk.carry)
            chunk = dataclasses.replace(chunk, carry=carry, solver=self.plan.method.kind)
        elif plan is not self.methods.explicit and chunk.status is not None and chunk.status.kind in FAILURES:
            self.plan, carry = give_up(self.methods, plan, chunk.carry)
            chunk = dataclasses.replace(chunk, carry=carry, solver=self.plan.method.kind, status=None)
        self.carry = chunk.carry
        return chunk

    def _due(self, carry: Carry) -> bool:
        return bool(self.methods.stiff) and due(carry)

    def _concerns_host(self, carry: Carry) -> bool:
        """May the host compute with this carry? Of a batch most do not, and stay NumPy arrays."""
        ended = int(carry.code) != Code.RUNNING or int(carry.steps) + int(carry.rejected) >= self._max_steps
        return ended or bool(np.any(np.asarray(carry.look))) or self._due(carry)


def _finite(plan: Plan, chunk: Chunk) -> bool:
    """Is the risk finite wherever it was measured, and where the run failed?"""
    failed = chunk.status is not None and not chunk.status.ok
    rows = bool(np.all(np.isfinite(chunk.rows.get("loss", 0.0))))
    return rows and (not failed or bool(np.isfinite(_risk(plan, chunk.carry))))


@fast_compile
def _risk(plan: Plan, carry: Carry) -> Scalar:
    return plan.problem.risk(plan.flow.parameters(carry.state.flow))


def _lost(plan: Plan, began: Carry, chunk: Chunk) -> Chunk:
    """A chunk in which the risk ceased to be finite, taken back: its gradient may be finite all the same."""
    losses = chunk.rows.get("loss", np.zeros(len(chunk.times)))
    bad = [*chunk.times[~np.isfinite(losses)], chunk.reached][0]
    why = f"the risk is not finite at t = {bad:.6g}"
    if plan.in_place:
        status = Status("not_finite", chunk.reached, f"{why}; {plan.method.kind} keeps no state from before", _LOOK)
        kept = chunk.times < bad
        rows = {name: values[kept] for name, values in chunk.rows.items()}
        crossings = tuple(crossing for crossing in chunk.crossings if crossing.time < bad)
        return dataclasses.replace(chunk, times=chunk.times[kept], rows=rows, crossings=crossings, status=status)
    began = jax.tree.map(jnp.asarray, began)
    time = began.clock.to_host()
    message = f"{why}; the last good state is that of t = {time:.6g}"
    status = Status("not_finite", time, message, _REMEDY[Code.NOT_FINITE][2])
    nothing = {name: values[:0] for name, values in chunk.rows.items()}
    return Chunk(began, chunk.times[:0], nothing, (), chunk.event_evaluations, status, time, plan.method.kind)


def digest(plan: Plan, carry: Carry, times: np.ndarray, rows: dict[str, np.ndarray], max_steps: int) -> Chunk:
    """What a call of `advance` gave, once the host has looked into the step that asked for it."""
    crossings, spent = [], 0
    if np.any(np.asarray(carry.look)):
        looked = find(plan, carry)
        spent = looked.spent
        carry = eqx.tree_at(lambda c: c.signs, carry, jnp.asarray(looked.signs))
        carry, times, rows, crossings = _settle(plan, carry, times, rows, looked.crossings)
    status = _status(plan, carry, crossings, max_steps)
    return Chunk(carry, times, rows, tuple(crossings), spent, status, carry.clock.to_host(), plan.method.kind)


def _settle(plan: Plan, carry: Carry, times, rows, found):
    """Take note of crossings; at a terminal one, or one that ends a stage of the flow, go back to its moment."""
    terminal = {event.name for event in plan.events if event.terminal}
    ending = plan.flow.ending(carry.previous_state.flow) if isinstance(plan.flow, AbstractSwitched) else None
    crossings = []
    for number, (crossing, there) in enumerate(found):
        crossings.append(crossing)
        if crossing.event in terminal:
            # What happens at the same instant, as far as time is resolved, happens too; and it is saved once.
            instant = _INSTANT * float(jnp.finfo(carry.step.dtype).eps) * crossing.time
            crossings += [other for other, _ in found[number + 1 :] if other.time <= crossing.time + instant]
            kept = times < crossing.time - instant
            now = there.probes()
            times = np.append(times[kept], crossing.time)
            rows = {name: np.concatenate([values[kept], now[name][None]]) for name, values in rows.items()}
            code = jnp.asarray(Code.EVENT, carry.code.dtype)
            carry = eqx.tree_at(lambda c: (c.clock, c.state, c.code), carry, (there.clock, there.state, code))
            break
        if crossing.event == ending:
            kept = times <= crossing.time  # the others were measured on a path that the flow does not take
            carry = eqx.tree_at(lambda c: c.saved, carry, carry.saved - int(np.sum(~kept)))
            carry = _next_stage(plan, carry, crossings, there)
            times, rows = times[kept], {name: values[kept] for name, values in rows.items()}
            break
    return carry, times, rows, crossings


def _next_stage(plan: Plan, carry: Carry, crossings, there) -> Carry:
    """The loop just past the crossing that ended a piece of the flow, in the next one."""
    assert isinstance(plan.flow, AbstractSwitched)
    last, spent = crossings[-1], 0
    if not plan.flow.renews:
        there, spent = beyond(plan, carry, last, there)
    signs = carry.previous_signs
    for crossing in crossings:
        number = [event.name for event in plan.events].index(crossing.event)
        signs = signs.at[number].set(
            -crossing.direction if crossing is last and plan.flow.renews else crossing.direction
        )
    flow = plan.flow.following(plan.problem, there.clock.value, there.state.flow)
    fresh = restart(plan, carry, there.clock, eqx.tree_at(lambda s: s.flow, there.state, flow), signs)
    return eqx.tree_at(lambda c: c.evaluations, fresh, fresh.evaluations + spent)


def _status(plan: Plan, carry: Carry, crossings, max_steps: int) -> Status | None:
    code, time = Code(int(carry.code)), carry.clock.to_host()
    if code == Code.DONE:
        return Status("done", plan.end.to_host(), "reached the end")
    if code == Code.EVENT:
        first = next(c for c in crossings if c.event in {event.name for event in plan.events if event.terminal})
        return Status("event", first.time, f"stopped by the terminal event {first.event}")
    if code in _REMEDY:
        if code in (Code.STEP_SIZE_FLOOR, Code.NOT_FINITE) and (found := blow_up(plan, carry)) is not None:
            message = (
                f"the parameters blow up in finite time, at t = {found.time:.12g} ± {found.error:.1g}, "
                f"like (T - t)^-{1 / found.power:.3g}"
            )
            return Status("blow_up", time, message, "end the flow before that time; the risk has no minimum there")
        kind, message, remedy = _REMEDY[code]
        return Status(kind, time, message, remedy)
    left = max_steps - int(carry.steps) - int(carry.rejected)
    if slides(carry, plan, left):
        rough = carry.roughness
        message = (
            f"the flow slides along a kink, where the velocity jumps, since t = {float(rough.first):.4g} or later: the "
            "steps left would not bring it to the end"
        )
        return Status("sliding", time, message, _SMOOTH)
    if left <= 0:
        remedy = "raise solver.max_steps, shorten flow.t1, or use the `stabilized` solver if the flow is stiff"
        return Status("step_limit", time, f"{max_steps} steps were not enough", remedy)
    return None
