"""When a flow turns stiff: from an explicit method to a stabilised one, and back.

Where an explicit method's step times the largest curvature λ is at the method's stability limit, stability sizes the
step, not accuracy. Whether a stabilised method does better then is a matter of measurement: it is given some steps, and
keeps the flow if it needs fewer evaluations for a unit of time than the explicit method did. All that is decided here
is decided from the carry, so a resumed run decides the same.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from ..solvers import spectral_radius
from .advance import restart
from .carry import Carry, Code, Plan

CHECK = 100  # steps between two looks at the stiffness
_STIFF = 2.0  # step × λ above which stability may be what holds an explicit method back
_WORTH = 4000  # evaluations still to come by the explicit method, below which compiling another does not pay
_RETRY = 4.0  # after a try that did not pay the next one waits until the time has grown by so much


class Methods(NamedTuple):
    """One run by two methods: plans that differ in nothing else. `stabilised`: None to stay with the explicit one."""

    explicit: Plan
    stabilised: Plan | None

    def named(self, kind: str | None) -> Plan:
        """The plan by its method's name, the explicit one by default."""
        stabilised = self.stabilised
        return stabilised if stabilised is not None and kind == stabilised.method.kind else self.explicit


def due(carry: Carry, steps_before: int) -> bool:
    """Is it time for a look at the stiffness?"""
    return int(carry.code) == Code.RUNNING and int(carry.steps) // CHECK > steps_before // CHECK


def reconsider(methods: Methods, plan: Plan, before: tuple[float, int, int], carry: Carry) -> tuple[Plan, Carry]:
    """The plan to go on with, and the carry in its terms.

    **Arguments:** `before`: time, evaluations and steps at the start of the last chunk.
    """
    explicit, stabilised = methods
    if stabilised is None:
        return plan, carry
    now, step = carry.clock.to_host(), float(carry.previous_step)
    pace = (int(carry.evaluations) - before[1]) / max(now - before[0], 1e-300)
    if plan is stabilised:
        radius, carry = _radius(plan, carry)
        if step * radius > _STIFF and pace <= float(carry.pace):
            return plan, carry
        return explicit, _with(explicit, carry, pace, _RETRY * now)
    # At the least: if steps go on to grow in proportion to the time. Those that stability holds do not.
    steps_to_come = now / step * math.log(plan.end.to_host() / now)
    to_come = steps_to_come * (int(carry.evaluations) - before[1]) / max(int(carry.steps) - before[2], 1)
    if now < float(carry.patience) or to_come < _WORTH:
        return plan, carry
    radius, carry = _radius(plan, carry)
    if step * radius <= _STIFF:
        return plan, carry
    return stabilised, _with(stabilised, carry, pace, now)


def _radius(plan: Plan, carry: Carry) -> tuple[float, Carry]:
    """The spectral radius where the loop stands, and the carry with what finding it took."""
    if plan.method.radius is not None:
        return float(plan.method.radius(carry.solver)), carry
    radius, products = curvature(plan, carry)
    return float(radius), eqx.tree_at(lambda c: c.evaluations, carry, carry.evaluations + 2 * products + 1)


def give_up(methods: Methods, carry: Carry) -> tuple[Plan, Carry]:
    """Back to the explicit method for good, from the last good state of a stabilised one that failed."""
    return methods.explicit, _with(methods.explicit, carry, 0.0, jnp.inf)


def _with(plan: Plan, carry: Carry, pace: float, patience: float) -> Carry:
    """The loop at the same moment by another method.

    **Arguments:** `pace`: evaluations for a unit of time until here; `patience`: time before the next try.
    """
    fresh = restart(plan, carry, carry.clock, carry.state, carry.signs)
    dtype = fresh.step.dtype
    return eqx.tree_at(lambda c: (c.pace, c.patience), fresh, (jnp.asarray(pace, dtype), jnp.asarray(patience, dtype)))


@eqx.filter_jit
def curvature(plan: Plan, carry: Carry):
    """The spectral radius of the flow's Jacobian where the loop stands, and the products that finding it took."""

    def field(state):
        return plan.flow.velocity(plan.problem, carry.clock.value, state)[0]

    return spectral_radius(field, carry.state.flow)
