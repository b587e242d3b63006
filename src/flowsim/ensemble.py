"""Many seeds of one experiment, on every core, by one compiled program."""

import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import reductions
from .problem import Problem
from .result import EventRecord, Result, SolverRecord, Status, Trajectory
from .simulate import Prepared, Settings, collect, prepare

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SETTINGS = ("solver", "rtol", "atol", "step", "max_steps")


@dataclasses.dataclass(frozen=True)
class Member:
    """What is kept of one seed's run: all of its `Result` but the parameters."""

    seed: int
    status: Status
    events: Mapping[str, EventRecord]
    solver: SolverRecord
    trajectory: Trajectory
    energy_identity: float

    @classmethod
    def of(cls, seed: int, result: Result) -> "Member":
        return cls(seed, result.status, result.events, result.solver, result.trajectory, result.energy_identity)


@dataclasses.dataclass(frozen=True)
class EventTimes:
    """First times of one event over the seeds; NaN where it never happened."""

    name: str
    description: str
    times: np.ndarray

    @property
    def fired(self) -> int:
        """In how many seeds it happened."""
        return int(np.isfinite(self.times).sum())

    def quantile(self, q: float) -> float | None:
        """The q-quantile over all seeds, a seed without the event counting as later than all others; None if it is
        such a seed's."""
        ordered = np.sort(np.where(np.isfinite(self.times), self.times, np.inf))
        position = q * (ordered.size - 1)
        low, high = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
        if not np.isfinite(high):
            return None
        return float(low + (position - np.floor(position)) * (high - low))

    @property
    def quantiles(self) -> dict[str, float | None]:
        return {f"{q:g}": self.quantile(q) for q in QUANTILES}


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
        return xarray.Dataset(variables, coords={**frame.coords, "seed": list(self.seeds)})

    def _stacked(self, name: str, longest: Trajectory) -> np.ndarray:
        values = [member.trajectory.values[name] for member in self.members]
        out = np.full((len(values), *longest.values[name].shape), np.nan, longest.values[name].dtype)
        for row, member, value in zip(out, self.members, values, strict=True):
            shared = np.isin(member.trajectory.time, longest.time)  # not the moment at which an event stopped it
            row[: shared.sum()] = value[shared]
        return out


def simulate(
    make_problem: Callable[[int], Problem],
    seeds: Sequence[int],
    *,
    t1: float,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> EnsembleResult:
    """The flow of many problems of one shape.

    Each member is its own run, at its own steps, on one of the threads; all share the program that the first one
    compiles. So a member equals the single run of its seed, and one that ends early is not paid for afterwards.

    **Arguments:**

    - `make_problem`: seed -> `Problem`: another initialisation, other data, or both. All need the same shapes.
    - `seeds`: their numbers.
    - `t1`, `options`: as in `flowsim.simulate`.
    - `workers`: threads; as many as there are cores by default.
    - `progress`: called with (members done, members) after every member.

    With `reduction="auto"` words that no sample holds stay in the state, because their number differs from one drawn
    task to the next, and every number would be compiled anew.

    **Raises:** as `flowsim.simulate`, for the first member that cannot be run.
    """
    if not seeds:
        raise ValueError("seeds must hold at least one seed.")
    reduction = shared_reduction(options.pop("reduction", "auto"), make_problem(seeds[0]))
    chosen = {name: options.pop(name) for name in _SETTINGS if name in options}
    user_probes = options.pop("probes", None)

    def prepared(seed: int) -> Prepared:
        problem = make_problem(seed)
        return prepare(problem, Settings(t1, **chosen), user_probes=user_probes, reduction=reduction, **options)

    return run(prepared, seeds, workers=workers, progress=progress)


def shared_reduction(name: str, first: Problem) -> str:
    """The reduction that gives members of one shape."""
    if name != "auto":
        return name
    chosen = reductions.reduce(first, "auto").name
    return "rotation" if chosen == "vocabulary" else chosen


def run(
    prepare: Callable[[int], Prepared],
    seeds: Sequence[int],
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EnsembleResult:
    """The ensemble of runs that `prepare` makes, seed by seed."""
    if not seeds:
        raise ValueError("seeds must hold at least one seed.")
    members = []
    for member in _members(prepare, list(seeds), workers or cores()):
        members.append(member)
        if progress is not None:
            progress(len(members), len(seeds))
    return EnsembleResult(tuple(members))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _members(prepare: Callable[[int], Prepared], seeds: list[int], workers: int) -> Iterator[Member]:
    """Members in the order of the seeds; at most a few more than there are threads are in memory with parameters."""

    def one(seed: int) -> Member:
        return Member.of(seed, collect(prepare(seed)))

    yield one(seeds[0])  # compiles, once for all
    rest = iter(seeds[1:])
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        # XLA computes without the interpreter's lock, each run on the thread that started it.
        waiting = [pool.submit(one, seed) for seed in itertools.islice(rest, 4 * workers)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(one, seed) for seed in itertools.islice(rest, 1)]
        finally:
            for future in waiting:
                future.cancel()
