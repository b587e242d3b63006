"""A result as the record that `summary.json` holds."""

import dataclasses
from collections.abc import Mapping

from ..certificate import Certificate
from ..events import phases
from ..records import EventRecord
from ..store.summary import (
    SCHEMA_VERSION,
    CertificateSummary,
    EventSummary,
    FinalState,
    PhaseSummary,
    SolverSummary,
    Summary,
    SwitchSummary,
    finite,
    number,
)
from .result import Result


def summarized(result: Result, name: str, seconds: Mapping[str, float] | None = None) -> Summary:
    """Of one run, with its certificate if that is known.

    **Arguments:** `seconds`: of what followed the integration, by the names of `SolverSummary`.
    """
    certificate = result.known
    switches = tuple(SwitchSummary(**dataclasses.asdict(switch)) for switch in result.solver.switches)
    solver = {**vars(result.solver), **(seconds or {}), "switches": switches}
    solver = {
        name: value for name, value in solver.items() if value or name not in ("kinks", "implicit", "compensated")
    }
    cut = _phases(result)
    return Summary(
        schema_version=SCHEMA_VERSION,
        name=name,
        status=result.status.kind,
        message=result.status.message,
        remedy=result.status.remedy,
        complete=result.status.ok,
        events={key: _event(record) for key, record in result.events.items()},
        **({"phases": cut} if cut else {}),
        final=FinalState(**finite(_in_order(result))),
        certificate=None if certificate is None else _certificate(certificate),
        solver=SolverSummary(**solver),
        **({"energy_identity": number(result.energy_identity)} if certificate is None else {}),
    )


def _phases(result: Result) -> tuple[PhaseSummary, ...]:
    """The run cut at its saddles, if they were watched and any was passed."""
    saddles = [c for record in result.crossings.values() for c in record.crossings if "height_error" in c.values]
    if not saddles:
        return ()
    loss = float(result.trajectory.values["loss"][0])
    cut = phases(saddles, loss=loss, end=result.status.time, final=result.final["loss"])
    return tuple(PhaseSummary(**vars(phase)) for phase in cut)


def _in_order(result: Result) -> dict[str, float]:
    """Time and scalar probes at the end, in the order in which the probes are named: that of the arrays depends on
    whether they were computed here or read back."""
    final = result.final
    return {name: final[name] for name in ("time", *result.trajectory.variables) if name in final}


def _certificate(certificate: Certificate) -> CertificateSummary:
    return CertificateSummary(
        relative_error=number(certificate.relative_error),
        energy_identity=number(certificate.energy_identity),
        invariants=finite(certificate.invariants),
        rounding_floor=number(certificate.rounding_floor),
        method=certificate.method,
        vector_field_evaluations=certificate.evaluations,
        warnings=tuple(certificate.warnings),
    )


def _event(record: EventRecord) -> EventSummary:
    first = record.crossings[0] if record.crossings else None
    return EventSummary(
        description=record.description,
        time=record.time,
        times=tuple(record.times),
        directions=tuple(crossing.direction for crossing in record.crossings),
        uncertainty=number(record.uncertainty),
        **({} if first is None else finite(first.values)),
    )
