"""Is a flow stiff where the loop stands, and how much has an explicit method yet to do? What `stiff` decides by.

A batch asks it of all its runs at once, inside compiled functions.
"""

from types import ModuleType

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from .._jit import fast_compile
from ..solvers import spectral_radius
from .carry import Carry, Code, Plan

STIFF = 2.0  # step × λ above which stability may be what holds an explicit method back
_INSTANT = 1e-30  # share of what is to come, or of an e-fold, that counts as no time passed
_PRODUCTS = 8  # Jacobian-vector products that a look at λ may take
_WORTH_ALONE = 1000  # evaluations to come below which no run leaves a batch: by itself it takes longer for each
_WORTH_ALONE_ELSEWHERE = 10_000  # the same on an accelerator, where one run takes as long as hundreds


def evaluations_left(xp: ModuleType, spent, before, since, left):
    """Evaluations to come, after `spent` of them from `before` to `since`, with NumPy or JAX as `xp`.

    As many for a unit of time as then, or for an e-fold of it, whichever is fewer.
    """
    tiny = xp.finfo(xp.asarray(since).dtype).tiny
    before, since, least = xp.maximum(before, tiny), xp.maximum(since, tiny), _INSTANT * left + tiny
    folds, passed = xp.maximum(xp.log(since) - xp.log(before), _INSTANT), xp.maximum(since - before, least)
    return spent * xp.minimum(left / passed, (xp.log(since + left) - xp.log(since)) / folds)


def radius(plan: Plan, carry: Carry):
    """The spectral radius of the flow's Jacobian where the loop stands, and the products that finding it took.

    It is a lower bound from a few products, near enough to tell whether stability sizes the steps.
    """

    def field(state):
        return plan.flow.velocity(plan.problem, carry.clock.value, state)[0]

    return spectral_radius(field, carry.state.flow, most=_PRODUCTS)


curvature = fast_compile(radius)


def worth_leaving(backend: str) -> int:
    """Evaluations to come from which on a run of a batch is looked at."""
    return _WORTH_ALONE if backend == "cpu" else _WORTH_ALONE_ELSEWHERE


def worth_a_look(plan: Plan, carry: Carry, least: Int[Array, ""]) -> Bool[Array, ""]:
    """Has one run of a batch so many evaluations to come? For use inside compiled functions, as what follows."""
    start = plan.start()[0]
    spent = (carry.evaluations - carry.choice.evaluations).astype(carry.step.dtype)
    before, since, left = start.until(carry.choice.clock), start.until(carry.clock), carry.clock.until(plan.end)
    return (carry.code == Code.RUNNING) & (evaluations_left(jnp, spent, before, since, left) >= least)


def held_back(plan: Plan, carry: Carry, wanted: Bool[Array, ""]) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """Does stability size an explicit method's steps, where it is `wanted` to know? And what it took to find out."""
    found, products = radius(plan, carry)
    cost = jnp.where(wanted, 2 * products + 1, 0).astype(carry.evaluations.dtype)
    return wanted & (carry.previous_step * found > STIFF), cost


def looked_at(carry: Carry, cost: Int[Array, ""]) -> Carry:
    """The next window starts here, after a look of some evaluations."""
    spent = carry.evaluations + cost
    return eqx.tree_at(
        lambda c: (c.evaluations, c.choice.evaluations, c.choice.clock), carry, (spent, spent, carry.clock)
    )
