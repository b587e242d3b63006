"""The parts of a result, from a run's history."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .._jit import fast_compile
from ..flows import Sliding
from ..records import Crossing, EventRecord, Kinks, SolverRecord, Variable
from ..simulation import Carry, History, Plan, Prepared


def final(prepared: Prepared, parameters: PyTree) -> tuple[PyTree, PyTree]:
    """Final parameters and model as the user knows them; the reduced ones where single parameters cannot be had."""
    reduction, original = prepared.reduction, prepared.plan.lift.original
    if not reduction.recoverable:
        return parameters, reduction.problem.model(parameters)
    whole = parameters if reduction.lift is None else eqx.filter_jit(reduction.lift)(parameters)
    model = original.model(whole)
    return (model if original.task is None else whole), model


def events(plan: Plan, crossings: Sequence[Crossing]) -> dict[str, EventRecord]:
    """All crossings of every event; the events in order of their first times."""
    records = [
        EventRecord(event.name, event.description, tuple(c for c in crossings if c.event == event.name))
        for event in plan.events
    ]
    never = math.inf
    ordered = sorted(records, key=lambda record: never if record.time is None else record.time)
    return {record.name: record for record in ordered}


def variables(plan: Plan, rows: Mapping[str, np.ndarray]) -> dict[str, Variable]:
    """Dimensions and attributes of the saved probes."""
    found = {}
    for probe in plan.probes:
        axes = rows[probe.name].ndim - 1
        dims = tuple(f"{probe.name}_axis_{i}" for i in range(axes)) if probe.dims is None else probe.dims
        found[probe.name] = Variable(dims, probe.long_name, probe.units)
    return found


def cost(prepared: Prepared, history: History, carry: Carry) -> SolverRecord:
    """What the integration cost."""
    settings, price = prepared.settings, prepared.plan.flow.traits.gradients
    return SolverRecord(
        kind=prepared.plan.method.kind,
        rtol=settings.rtol,
        atol=settings.atol,
        steps=int(carry.steps),
        rejected=int(carry.rejected),
        vector_field_evaluations=price * int(carry.evaluations),
        event_evaluations=price * history.event_evaluations,
        reduction=prepared.reduction.name,
        reduction_reason=prepared.reduction.reason,
        seconds_compile=history.seconds_compile,
        seconds_run=history.seconds_run,
        switches=tuple(history.switches),
        kinks=_kinks(prepared.plan, carry),
        implicit=prepared.plan.method.implicit,
        compensated=prepared.plan.method.compensated,
    )


def _kinks(plan: Plan, carry: Carry) -> Kinks | None:
    if not isinstance(plan.flow, Sliding):
        return None
    state = carry.state.flow
    return Kinks(*map(int, (state.gates.size, state.crossed, state.slides, state.sliding, state.undecided)))


def energy_identity(plan: Plan, carry: Carry) -> float:
    """|energy(0) - energy(t) - ∫ dissipation| over the energy that was lost; of a flow that dissipates nothing, over
    the energy that it is to keep."""
    start, end = map(float, _energies(plan, carry.state.flow))
    return defect(start - end, float(carry.state.dissipated), max(abs(start), abs(end)), carry.step.dtype)


def defect(lost: float, dissipated: float, energy: float, dtype: Any) -> float:
    """The same of these numbers; `energy`: the larger of both ends'."""
    scale = max(abs(lost), abs(dissipated)) if dissipated else energy
    return abs(lost - dissipated) / max(scale, float(jnp.finfo(dtype).tiny))


@fast_compile
def _energies(plan: Plan, state: PyTree) -> tuple[Array, Array]:
    """At the start and at a state."""
    _, first = plan.start()
    return plan.flow.energy(plan.problem, first), plan.flow.energy(plan.problem, state)
