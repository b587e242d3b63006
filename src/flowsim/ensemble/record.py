"""What is kept of many seeds' runs."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ..certificate import Certificate
from ..records import EventRecord, EventTimes, SolverRecord, Status, Trajectory
from ..result import Result


@dataclasses.dataclass(frozen=True)
class Member:
    """What is kept of one seed's run: all of its `Result` but the parameters.

    **Fields:** `certificate`: None if none was asked for; its error bands of the probes are not kept.
    """

    seed: int
    status: Status
    events: Mapping[str, EventRecord]
    solver: SolverRecord
    trajectory: Trajectory
    energy_identity: float
    certificate: Certificate | None = None

    @classmethod
    def of(cls, seed: int, result: Result, *, certified: bool = False) -> "Member":
        """**Arguments:** `certified`: also keep the certificate, computing it if it has not been."""
        certificate = dataclasses.replace(result.certificate, probe_errors={}) if certified else None
        parts = (result.events, result.solver, result.trajectory, result.energy_identity)
        return cls(seed, result.status, *parts, certificate)


@dataclasses.dataclass(frozen=True)
class EnsembleResult:
    """The runs of many seeds.

    **Fields:** `members`: in the order of the seeds.
    """

    members: tuple[Member, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(member.seed for member in self.members)

    @property
    def ok(self) -> bool:
        """Did every member reach its end?"""
        return all(member.status.ok for member in self.members)

    @property
    def certified(self) -> bool:
        """Has every member a certificate?"""
        return all(member.certificate is not None for member in self.members)

    @cached_property
    def events(self) -> dict[str, EventTimes]:
        """name -> first times over the seeds."""
        found = {}
        for name, record in self.members[0].events.items():
            times = [member.events[name].time for member in self.members]
            values = np.array([np.nan if time is None else time for time in times])
            found[name] = EventTimes(name, record.description, values)
        return found

    @cached_property
    def dataset(self):
        """Every probe over (seed, time, …) as an `xarray.Dataset`, with `event_<name>(seed)` for first event times.

        A member that ended early has NaN after its last saved time, and an event that never happened has time NaN.
        With certificates there is `relative_error(seed)`, NaN for a seed whose evidence failed.
        """
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        longest = max((member.trajectory for member in self.members), key=lambda t: len(t.time))
        frame = longest.dataset()
        variables = {
            name: (("seed", *frame[name].dims), self._stacked(str(name), longest), frame[name].attrs) for name in frame
        }
        for name, event in self.events.items():
            attributes = {"long_name": f"time of {name}: {event.description}", "units": "1"}
            variables[f"event_{name}"] = (("seed",), event.times, attributes)
        if self.certified:
            attributes = {"long_name": "certified error of the final parameters, over the distance travelled"}
            errors = [one.certificate.relative_error for one in self.members if one.certificate is not None]
            variables["relative_error"] = (("seed",), _without_infinity(errors), {**attributes, "units": "1"})
        return xarray.Dataset(variables, coords={**frame.coords, "seed": list(self.seeds)})

    def _stacked(self, name: str, longest: Trajectory) -> np.ndarray:
        values = [member.trajectory.values[name] for member in self.members]
        out = np.full((len(values), *longest.values[name].shape), np.nan, longest.values[name].dtype)
        for row, member, value in zip(out, self.members, values, strict=True):
            shared = np.isin(member.trajectory.time, longest.time)  # not the moment at which an event stopped it
            row[: shared.sum()] = value[shared]
        return out


def _without_infinity(values: list[float]) -> np.ndarray:
    found = np.array(values)
    return np.where(np.isfinite(found), found, np.nan)
