"""What a bound rests on, and what else the evidence cannot vouch for."""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from ..records import Status
from ..simulation import Carry, History, Prepared
from .record import Uncertified

_ATOL = 1e3  # a start that is not so much larger than the absolute tolerance is not followed to the relative one

_CUT_SHORT = ("interrupted", "step_limit")  # exact as far as it came


def broken_premises(prepared: Prepared, result: Uncertified, verification: History) -> tuple[str, ...]:
    """Why no bound can be given: the two runs say something of the exact flow only if all of this holds.

    Both integrations are complete; the risk is finite along both; and the velocity is smooth, as far as their steps can
    tell.
    """
    status, found = cast(Status, verification.status), []
    if not result.status.ok and result.status.kind not in _CUT_SHORT:
        found.append(f"the run ended early ({result.status.message}): no error bound")
    if not status.ok:
        found.append(f"the second integration ended early ({status.message}): no error bound")
    losses = (result.trajectory.values.get("loss"), verification.rows.get("loss"))
    if any(loss is not None and not np.all(np.isfinite(loss)) for loss in losses):
        found.append("the risk is not finite along the whole path: no error bound")
    # Both must have met one: long steps towards a saddle's end can look like one to a single method.
    kinks = min(int(result.carry.roughness.kinks), int(cast(Carry, verification.carry).roughness.kinks))
    if kinks:
        found.append(
            f"the velocity jumps on the path (the steps met {kinks} kinks or more, such as a ReLU's, first at t = "
            f"{float(result.carry.roughness.first):.4g}): error estimates assume that it is smooth, so no error bound"
        )
    return tuple(found)


def doubts(prepared: Prepared, result: Uncertified, verification: History) -> tuple[str, ...]:
    """What a bound does not cover."""
    found = []
    for name, record in result.crossings.items():
        there = [crossing for crossing in verification.crossings if crossing.event == name]
        if len(record.crossings) != len(there):
            found.append(
                f"the two integrations see event {name} {len(record.crossings)} and "
                f"{len(there)} times: it is close to not happening, or rounding moves it"
            )
        if any(not crossing.refined or not crossing.resolved for crossing in record.crossings):
            found.append(f"event {name}: a step was not resolved by the scan; a crossing may be missing")
    kinks = result.solver.kinks
    if kinks is not None and kinks.undecided:
        found.append(f"at {kinks.undecided} of the kinks that were met no side was consistent: the nearest was taken")
    settings = prepared.settings
    sizes = [float(jnp.sqrt(jnp.mean(x**2))) for x in jax.tree.leaves(prepared.plan.problem.parameters)]
    small = min((size for size in sizes if size > 0), default=np.inf)
    if settings.step is None and small < _ATOL * settings.atol:
        part = min(settings.atol / small, 1.0)
        found.append(
            f"the start has entries of size {small:.1g}, beside an absolute tolerance of {settings.atol:.1g}: they are "
            f"followed to {part:.0e} of themselves only; lower atol to {small * settings.rtol:.0e}"
        )
    return tuple(found)
