"""Members of an ensemble in their run folders."""

import pathlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from .._files import RefusedError
from ..certificate import Certificate
from ..config import Source
from ..ensemble import Member, MemberStore
from ..experiment.run import recorded
from ..records import Crossing, EventRecord, SolverRecord, Status, Switch, Trajectory, Variable
from ..result import Result
from ..store import CertificateSummary, EventSummary, Meta, SolverSummary, Summary
from .folder import Sweep
from .state import AGAIN, finished, refuse_other


class Folders(MemberStore):
    """The members of a sweep over seeds.

    **Arguments:** `members`: their ids by their seeds.
    """

    def __init__(self, sweep: Sweep, members: Mapping[int, str]):
        self._sweep, self._members = sweep, members

    def get(self, seed: int) -> Member | None:
        folder = self._sweep.folder(self._members[seed])
        return read(folder, seed) if finished(folder) else None

    def put(self, seed: int, result: Result) -> None:
        name = self._members[seed]
        if finished(self._sweep.folder(name)):
            return
        member = self._sweep.members[name]
        plan = self._sweep.plans[member.plan]
        source = Source(plan.experiment(member.overrides), plan.text, plan.folder, member=name)
        recorded(source, result, self._sweep.folder(name), runs=len(self._members))


def read(folder: pathlib.Path, seed: int) -> Member:
    """A member that has ended, from what every run folder holds.

    **Raises:** `RefusedError` that names a file which is missing or damaged, or the folder if it is another member's.
    """
    try:
        summary = Summary.read(folder)
        if summary is None or summary.solver is None:
            raise RefusedError(f"{folder}: holds no run that has ended")
        trajectory, bands = _trajectory(folder)
    except RefusedError as error:
        raise RefusedError(f"{error}; {AGAIN}") from None
    refuse_other(folder, summary.member)
    certificate = None if summary.certificate is None else _certificate(summary.certificate, bands)
    identity = summary.energy_identity if certificate is None else certificate.energy_identity
    return Member(
        seed,
        Status(summary.status, float(trajectory.time[-1]), summary.message, summary.remedy),
        {name: _event(name, record) for name, record in summary.events.items()},
        _solver(summary.solver),
        trajectory,
        _infinite(identity),
        certificate,
    )


def _trajectory(folder: pathlib.Path) -> tuple[Trajectory, dict[str, np.ndarray]]:
    """With its error bands. Read by h5py alone, in a tenth of xarray's time for so small a file."""
    meta, path = Meta.read(folder), folder / "trajectory.nc"
    try:
        with h5py.File(path) as opened:
            file: Any = opened  # whose members are all datasets
            time, values = file["time"][()], {name: file[name][()] for name in meta.variables}
            bands = {name: file[f"{name}_error"][()] for name in values if f"{name}_error" in file.keys() - values}
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(f"{path}: cannot be read ({error})") from None
    variables = {
        name: Variable(about.dims, about.attributes.get("long_name", name), about.attributes.get("units", "1"))
        for name, about in meta.variables.items()
    }
    return Trajectory(time, values, variables, meta.coordinates), bands


def _event(name: str, record: EventSummary) -> EventRecord:
    crossings = tuple(
        Crossing(name, time, direction, True, True, {})
        for time, direction in zip(record.times, record.directions, strict=True)
    )
    return EventRecord(name, record.description, crossings, record.uncertainty)


def _solver(record: SolverSummary) -> SolverRecord:
    fields = {name: getattr(record, name) for name in SolverRecord.__dataclass_fields__}
    return SolverRecord(**{**fields, "switches": tuple(Switch(one.time, one.kind) for one in record.switches)})


def _certificate(record: CertificateSummary, bands: dict[str, np.ndarray]) -> Certificate:
    """Without what only the run itself needs: the bounds of later crossings."""
    return Certificate(
        relative_error=_infinite(record.relative_error),
        energy_identity=_infinite(record.energy_identity),
        invariants={name: _infinite(value) for name, value in record.invariants.items()},
        crossing_errors={},
        probe_errors=bands,
        rounding_floor=_infinite(record.rounding_floor),
        method=record.method,
        evaluations=record.vector_field_evaluations or 0,
        warnings=record.warnings,
    )


def _infinite(value: float | None) -> float:
    """JSON has no infinity: None stands for it."""
    return np.inf if value is None else value
