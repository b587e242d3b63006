"""Blow-up in finite time, told from other failures of the error test.

Where ‖θ‖ ~ C (T* - t)^(-1/p), the growth rate r = ⟨θ, dθ/dt⟩/‖θ‖² obeys 1/r = p (T* - t): it falls linearly in time,
with a slope that gives p, and T* = t + 1/(r p). Exponential growth has a constant r, which is p = 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _tree
from .._jit import fast_compile
from .._types import Scalar
from .carry import Carry, Plan

_POWERS = (0.05, 50.0)
_GROWN = 100.0  # over the start's norm
_NEAR = 1e-3  # of the time until then: the power law holds at the end only
_SAFETY = 100.0  # of the relative tolerance, for the error of T*


class BlowUp(NamedTuple):
    """When, known to how much, and with which power: ‖θ‖ ~ (T* - t)^(-1/power)."""

    time: float
    error: float
    power: float


def blow_up(plan: Plan, carry: Carry) -> BlowUp | None:
    """The blow-up that a run has come to, or None if it failed by something else."""
    size, start, lifetime, power = map(float, _growth(plan, carry))
    now = carry.clock.to_host()
    if not (_POWERS[0] <= power <= _POWERS[1] and lifetime > 0 and size >= _GROWN * start):
        return None
    left = lifetime / power
    if left > _NEAR * now:
        return None
    rtol = 0.0 if plan.method.controller is None else float(plan.method.controller.rtol)
    return BlowUp(now + left, left + _SAFETY * rtol * now, power)


@fast_compile
def _growth(plan: Plan, carry: Carry) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """‖θ‖ now and at the start, 1/r, and -d(1/r)/dt."""
    state = carry.state.flow

    def velocity(state: PyTree) -> PyTree:
        return plan.flow.velocity(plan.problem, carry.clock.value, state)[0]

    def lifetime(state: PyTree) -> Scalar:
        # In units of the largest entry, as squares may overflow.
        unit = jax.tree.reduce(jnp.maximum, jax.tree.map(lambda x: jnp.max(jnp.abs(x)), state))
        unit = jax.lax.stop_gradient(unit)
        here = jax.tree.map(lambda x: x / unit, state)
        there = jax.tree.map(lambda x: x / unit, velocity(state))
        return _tree.dot(here, here) / _tree.dot(here, there)

    value, slope = jax.jvp(lifetime, (state,), (velocity(state),))
    sizes = (_tree.norm(plan.flow.parameters(state)), _tree.norm(plan.problem.parameters))
    return *sizes, value, -slope
