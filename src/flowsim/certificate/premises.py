"""What a bound rests on, and what else the evidence cannot vouch for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Array, PyTree

from .. import _tree
from .._jit import fast_compile
from ..records import Crossing, Kinks, Status
from ..simulation import Carry, History, Prepared, Settings
from .record import Uncertified

_ATOL = 1e3  # a start that is not so much larger than the absolute tolerance is not followed to the relative one

_DRIFT = 1e-2  # energy identity beyond which kinks were not followed, or a gradient is not that of its risk
_SEEN = 1e-6  # of the loss: a fall in which rounding does not count
_LARGE = 1e-2  # of the loss: a fall in which it does not count in float32 either
_CUT_SHORT = ("interrupted", "step_limit")  # exact as far as it came


def broken_premises(prepared: Prepared, result: Uncertified, verification: History) -> tuple[str, ...]:
    """Why no bound can be given; see `broken`."""
    losses = (result.trajectory.values.get("loss"), verification.rows.get("loss"))
    finite = all(loss is None or bool(np.all(np.isfinite(loss))) for loss in losses)
    # Both must have met one: long steps towards a saddle's end can look like one to a single method.
    kinks = min(int(result.carry.roughness.kinks), int(cast(Carry, verification.carry).roughness.kinks))
    first = float(result.carry.roughness.first)
    found = broken(result.status, cast(Status, verification.status), finite, kinks, first)
    return (*found, *undecided(result.solver.kinks), *_jumped(prepared, result))


def broken(status: Status, second: Status | None, finite: bool, kinks: int, first_kink: float) -> tuple[str, ...]:
    """Why no bound can be given: the two runs say something of the exact flow only if all of this holds.

    Both integrations are complete; the risk is finite along both; and the velocity is smooth, as far as their steps can
    tell.

    **Arguments:** `status`: of the run; `second`: of the second integration, None if it is complete.
    """
    found = []
    if not status.ok and status.kind not in _CUT_SHORT:
        found.append(f"the run ended early ({status.message}): no error bound")
    if second is not None and not second.ok:
        found.append(f"the second integration ended early ({second.message}): no error bound")
    if not finite:
        found.append("the risk is not finite along the whole path: no error bound")
    if kinks:
        found.append(
            f"the velocity jumps on the path (the steps met {kinks} kinks or more, such as a ReLU's, first at t = "
            f"{first_kink:.4g}): error estimates assume that it is smooth, so no error bound"
        )
    return tuple(found)


def undecided(kinks: Kinks | None) -> Iterator[str]:
    """Kinks that were met where the flow's next piece is not decided by the kinks' sides."""
    if kinks is not None and kinks.undecided:
        yield (
            f"{kinks.undecided} times several kinks met at which no side was consistent, or more than there are "
            "directions to leave them in: which way the exact flow goes is not known, so no error bound"
        )


def _jumped(prepared: Prepared, result: Uncertified) -> Iterator[str]:
    """A run with followed kinks whose loss did not fall by what its velocity says: a mode was wrong for a while."""
    settings, loss = prepared.settings, result.trajectory.values.get("loss")
    if result.solver.kinks is None or settings.step is not None or loss is None:
        return
    lost, size = abs(float(loss[0]) - float(loss[-1])), float(np.max(np.abs(loss)))
    if lost > _SEEN * size and result.energy_identity > max(_DRIFT, 1e3 * settings.rtol):
        yield (
            f"the loss fell by another amount than the velocity says (energy identity {result.energy_identity:.1g}): a "
            "kink was not where it was taken to be, so no error bound"
        )


def doubts(prepared: Prepared, result: Uncertified, verification: History) -> tuple[str, ...]:
    """What a bound does not cover."""
    here = {name: record.crossings for name, record in result.crossings.items()}
    there = {name: tuple(c for c in verification.crossings if c.event == name) for name in here}
    sizes = map(float, _sizes(prepared.plan.problem.parameters))
    small = min((size for size in sizes if size > 0), default=np.inf)
    return (*_unlike(prepared, result, verification), *differing(here, there), *faint(small, prepared.settings))


@fast_compile
def _sizes(parameters: PyTree) -> list[Array]:
    """Root mean square of every array's entries."""
    return [_tree.rms(x) for x in jax.tree.leaves(parameters)]


def _unlike(prepared: Prepared, result: Uncertified, verification: History) -> Iterator[str]:
    """A risk that does not fall by what its gradient says, however tight the tolerance."""
    losses: tuple[Any, ...] = (result.trajectory.values.get("loss"), verification.rows.get("loss"))
    known = prepared.plan.flow.traits.plain and result.solver.kinks is None
    if not known or any(loss is None or len(loss) < 2 for loss in losses):
        return
    falls = [
        (float(loss[0]) - float(loss[-1]), float(carry.state.dissipated), float(np.max(np.abs(loss))))
        for loss, carry in zip(losses, (result.carry, cast(Carry, verification.carry)), strict=True)
    ]
    yield from foreign_gradient(falls, prepared.settings)


def foreign_gradient(falls: Sequence[Sequence[float]], settings: Settings) -> Iterator[str]:
    """A risk that in neither integration falls by what its gradient says.

    **Arguments:** `falls`: of both integrations, by how much the risk fell, by how much the gradient says, and the
    risk's own size.
    """
    if settings.step is not None or any(max(abs(lost), abs(said)) <= _LARGE * size for lost, said, size in falls):
        return
    defect = min(abs(lost - said) / max(abs(lost), abs(said)) for lost, said, _ in falls)
    if defect > _DRIFT:
        yield (
            f"the risk fell by another amount than its gradient says (energy identity {defect:.1g} in both "
            "integrations): it jumps on the path, or the gradient is not its own (custom_vjp, stop_gradient); the "
            "bound is on the flow of that gradient"
        )


def differing(here: Mapping[str, Sequence[Crossing]], there: Mapping[str, Sequence[Crossing]]) -> Iterator[str]:
    """Events that the two integrations do not see alike, or that were not resolved."""
    for name, crossings in here.items():
        if len(crossings) != len(there[name]):
            yield (
                f"the two integrations see event {name} {len(crossings)} and "
                f"{len(there[name])} times: it is close to not happening, or rounding moves it"
            )
        if any(not crossing.refined or not crossing.resolved for crossing in crossings):
            yield f"event {name}: a step was not resolved by the scan; a crossing may be missing"


def faint(small: float, settings: Settings) -> Iterator[str]:
    """A start with an array of entries of size `small`, beside the absolute tolerance."""
    if settings.step is None and small < _ATOL * settings.atol:
        part = min(settings.atol / small, 1.0)
        yield (
            f"the start has entries of size {small:.1g}, beside an absolute tolerance of {settings.atol:.1g}: they are "
            f"followed to {part:.0e} of themselves only; lower atol to {small * settings.rtol:.0e}"
        )
