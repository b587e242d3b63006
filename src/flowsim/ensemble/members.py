"""The members of an ensemble: kept one by one, or as arrays from which each is made when it is asked for."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from ..certificate import Certificate
from ..records import EventRecord, SolverRecord, Status, Trajectory
from ..result import Result


@dataclasses.dataclass(frozen=True)
class Member:
    """What is kept of one seed's run: all of its `Result` but the parameters.

    **Fields:** `certificate`: None if none was asked for.
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
        parts = (result.events, result.solver, result.trajectory, result.energy_identity)
        return cls(seed, result.status, *parts, result.certificate if certified else None)

    def band(self, name: str) -> np.ndarray:
        """The error band of a probe; NaN where the certificate has none."""
        values = self.trajectory.values[name]
        known = {} if self.certificate is None else self.certificate.probe_errors
        return known[name] if name in known else np.full(values.shape, np.nan)


class AbstractMembers(Sequence[Member]):
    """Members in the order of their seeds, and what is asked of all of them."""

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Member]: ...
    def __getitem__(self, index: int | slice) -> Member | Sequence[Member]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.at(index % len(self))

    @abc.abstractmethod
    def at(self, number: int) -> Member:
        """The member at a place, 0 ≤ `number` < their number."""

    @property
    @abc.abstractmethod
    def seeds(self) -> tuple[int, ...]: ...

    @property
    @abc.abstractmethod
    def ok(self) -> bool:
        """Did every member reach its end?"""

    @property
    @abc.abstractmethod
    def certified(self) -> bool:
        """Has every member a certificate?"""

    @property
    @abc.abstractmethod
    def alone(self) -> Mapping[int, Member]:
        """Number -> member, of those that were not run together with others."""

    @abc.abstractmethod
    def first_times(self, event: str) -> np.ndarray:
        """Of every member; NaN where the event never happened."""

    @abc.abstractmethod
    def longest(self) -> Trajectory:
        """The trajectory of a member that came as far as any."""

    @abc.abstractmethod
    def values(self, name: str, times: np.ndarray) -> np.ndarray:
        """A probe of every member at these saved times, shape (members, times, …); NaN where it ended before."""

    @abc.abstractmethod
    def bands(self, name: str, times: np.ndarray) -> np.ndarray:
        """The error bands of a probe, as `values`; NaN for a member that has none."""

    @abc.abstractmethod
    def relative_errors(self) -> np.ndarray:
        """Of every certificate."""


class Listed(AbstractMembers):
    """Members one by one."""

    def __init__(self, members: Sequence[Member]):
        self._members = tuple(members)

    def at(self, number: int) -> Member:
        return self._members[number]

    def __len__(self) -> int:
        return len(self._members)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(member.seed for member in self._members)

    @property
    def ok(self) -> bool:
        return all(member.status.ok for member in self._members)

    @property
    def certified(self) -> bool:
        return all(member.certificate is not None for member in self._members)

    @property
    def alone(self) -> Mapping[int, Member]:
        return dict(enumerate(self._members))

    def first_times(self, event: str) -> np.ndarray:
        times = [member.events[event].time for member in self._members]
        return np.array([np.nan if time is None else time for time in times])

    def longest(self) -> Trajectory:
        return max((member.trajectory for member in self._members), key=lambda t: len(t.time))

    def values(self, name: str, times: np.ndarray) -> np.ndarray:
        return self._at(times, [member.trajectory.values[name] for member in self._members])

    def bands(self, name: str, times: np.ndarray) -> np.ndarray:
        return self._at(times, [member.band(name) for member in self._members])

    def _at(self, times: np.ndarray, own: Sequence[np.ndarray]) -> np.ndarray:
        out = np.full((len(own), len(times), *own[0].shape[1:]), np.nan, own[0].dtype)
        for row, member, value in zip(out, self._members, own, strict=True):
            shared = np.isin(member.trajectory.time, times)  # not the moment at which an event stopped it
            row[: shared.sum()] = value[shared]
        return out

    def relative_errors(self) -> np.ndarray:
        return np.array([one.certificate.relative_error for one in self._members if one.certificate is not None])


class Joined(AbstractMembers):
    """The members of several batches."""

    def __init__(self, parts: Sequence[AbstractMembers]):
        self._parts, self._ends = parts, np.cumsum([len(part) for part in parts])

    def at(self, number: int) -> Member:
        part = int(np.searchsorted(self._ends, number, side="right"))
        return self._parts[part][number - int(self._ends[part]) + len(self._parts[part])]

    def __iter__(self) -> Iterator[Member]:
        for part in self._parts:
            yield from part

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(seed for part in self._parts for seed in part.seeds)

    @property
    def ok(self) -> bool:
        return all(part.ok for part in self._parts)

    @property
    def certified(self) -> bool:
        return all(part.certified for part in self._parts)

    @property
    def alone(self) -> Mapping[int, Member]:
        starts = self._ends - [len(part) for part in self._parts]
        return {
            int(start) + i: member
            for start, part in zip(starts, self._parts, strict=True)
            for i, member in part.alone.items()
        }

    def first_times(self, event: str) -> np.ndarray:
        return np.concatenate([part.first_times(event) for part in self._parts])

    def longest(self) -> Trajectory:
        return max((part.longest() for part in self._parts), key=lambda t: len(t.time))

    def values(self, name: str, times: np.ndarray) -> np.ndarray:
        return np.concatenate([part.values(name, times) for part in self._parts])

    def bands(self, name: str, times: np.ndarray) -> np.ndarray:
        return np.concatenate([part.bands(name, times) for part in self._parts])

    def relative_errors(self) -> np.ndarray:
        return np.concatenate([part.relative_errors() for part in self._parts])
