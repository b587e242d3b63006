"""The members of one batch, as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from .. import probes
from ..certificate import Evidence
from ..records import Crossing, SolverRecord, Status, Trajectory
from ..result import Result, defect, events, final, variables
from ..simulation import Code, Crossings, History, Prepared, Together
from .members import AbstractMembers, Listed, Member


class Stack(AbstractMembers):
    """Members of one batch, as arrays.

    **Arguments:** `prepared`: one of them, for what all share; `found`: what they gave; `alone`: number -> member, of
    those that were run by themselves; `evidence`, `second`: of the second integrations, None without certificates.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        prepared: Prepared,
        found: Together,
        alone: Mapping[int, Member],
        evidence: Evidence | None = None,
        second: Together | None = None,
    ):
        self._seeds, self._prepared, self._found, self._alone = seeds, prepared, found, dict(alone)
        self._evidence, self._second = evidence, second
        self.trips = found.trips

    def at(self, number: int) -> Member:
        return self._alone[number] if number in self._alone else self._made(number)

    def __len__(self) -> int:
        return len(self._seeds)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self._seeds)

    @property
    def ok(self) -> bool:
        return all(member.status.ok for member in self._alone.values())

    @property
    def certified(self) -> bool:
        return self._evidence is not None

    @property
    def alone(self) -> Mapping[int, Member]:
        return self._alone

    def first_times(self, event: str) -> np.ndarray:
        number, table = self._names.index(event), self._found.crossings
        rows = np.flatnonzero(table.event == number)
        runs, first = np.unique(table.run[rows], return_index=True)
        times = np.full(len(self), np.nan)
        times[runs] = table.time[rows[first]]
        for i, member in self._alone.items():
            time = member.events[event].time
            times[i] = np.nan if time is None else time
        return times

    def longest(self) -> Trajectory:
        counts = self._found.count.copy()
        for i, member in self._alone.items():
            counts[i] = len(member.trajectory.time)
        return self[int(np.argmax(counts))].trajectory

    def values(self, name: str, times: np.ndarray) -> np.ndarray:
        out = self._at(times, self._found.rows[name])
        for i, member in self._alone.items():
            out[i] = Listed([member]).values(name, times)[0]
        return out

    def bands(self, name: str, times: np.ndarray) -> np.ndarray:
        out = self._at(times, self._bands(name))
        for i, member in self._alone.items():
            out[i] = Listed([member]).bands(name, times)[0]
        return out

    def _at(self, times: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Rows of all members at some of the times at which they were saved."""
        saved, found = self._prepared.save_times, self._found
        out = np.full((len(self), len(times), *rows.shape[2:]), np.nan, rows.dtype)
        common, places = np.isin(saved, times), np.searchsorted(times, saved)
        # A row counts before the end, and at the end where that is a saved time.
        past = (
            np.arange(len(saved))[None, :]
            < np.where(saved[found.count - 1] == found.time, found.count, found.count - 1)[:, None]
        )
        kept = np.where(past.reshape(past.shape + (1,) * (rows.ndim - 2)), rows, np.nan)
        out[:, places[common]] = kept[:, common]
        return out

    def _bands(self, name: str) -> np.ndarray:
        """The error bands of all members' rows; NaN for those that have none."""
        here, there = self._found, self._second
        rows = here.rows[name]
        out = np.full(rows.shape, np.nan, rows.dtype if np.issubdtype(rows.dtype, np.inexact) else float)
        if self._evidence is None or there is None:
            return out
        usable = np.flatnonzero(~(self._evidence.withheld | here.alone))
        _, alike = np.unique(np.stack([here.count[usable], there.count[usable]]), axis=1, return_inverse=True)
        for group in range(alike.max(initial=-1) + 1):
            runs = usable[alike.ravel() == group]
            for band in self._bands_of(runs, [name]).values():
                out[runs, : band.shape[1]] = band
        return out

    def _bands_of(self, runs: np.ndarray, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Of runs that saved as many rows as each other in both integrations, and are not withheld."""
        assert self._evidence is not None
        assert self._second is not None
        pair = ({name: part.rows[name][runs, : part.count[runs[0]]].swapaxes(0, 1) for name in names}
                for part in (self._found, self._second))  # fmt: skip
        return {name: band.swapaxes(0, 1) for name, band in self._evidence.bands(runs, *pair).items()}

    def relative_errors(self) -> np.ndarray:
        assert self._evidence is not None
        errors = self._evidence.relative_errors.copy()
        for i, member in self._alone.items():
            assert member.certificate is not None
            errors[i] = member.certificate.relative_error
        return errors

    @cached_property
    def _names(self) -> list[str]:
        return [event.name for event in self._prepared.plan.events]

    def result(self, number: int, prepared: Prepared) -> Result:
        """A member that was run together with others, as its own run would give it, but for what a longer run would go
        on from.

        **Arguments:** `prepared`: the member by itself.
        """
        member = self._made(number)
        parameters, model = final(prepared, jax.tree.map(lambda x: x[number], self._found.ends))
        return Result(
            parameters=parameters,
            model=model,
            crossings=member.events,
            status=member.status,
            solver=member.solver,
            trajectory=member.trajectory,
            energy_identity=member.energy_identity,
            prepared=prepared,
            history=History(len(prepared.save_times), member.solver.kind, keep_rows=False),
            given=member.certificate,
        )

    def _made(self, number: int) -> Member:
        found, plan = self._found, self._prepared.plan
        count, table = int(found.count[number]), found.crossings
        own = self._crossings(table, number)
        status = self._status(number, own)
        identity = defect(*(float(found.numbers[name][number]) for name in ("lost", "dissipated", "energy")),
                                   plan.end.high.dtype)  # fmt: skip
        records, certificate = events(plan, own), None
        if self._evidence is not None and self._second is not None:
            there = _by_event(self._names, self._crossings(self._second.crossings, number))
            seen = _by_event(self._names, own)
            known = [] if self._evidence.withheld[number] else list(found.rows)
            bands = {name: band[0] for name, band in self._bands_of(np.array([number]), known).items()}
            certificate = self._evidence.certificate(number, status, seen, there, identity, bands)
            records = {name: one.bounded(certificate.crossing_errors[name]) for name, one in records.items()}
        times = np.append(self._prepared.save_times[: count - 1], found.time[number])
        rows = {name: values[number, :count] for name, values in found.rows.items()}
        labels = probes.coordinates(plan.problem, plan.flow)
        trajectory = Trajectory(times, rows, variables(plan, rows), labels)
        return Member(self._seeds[number], status, records, self._cost(number), trajectory, identity, certificate)

    def _status(self, number: int, crossings: Sequence[Crossing]) -> Status:
        time, plan = float(self._found.time[number]), self._prepared.plan
        if int(self._found.numbers["code"][number]) == Code.DONE:
            return Status("done", time, "reached the end")
        terminal = {event.name for event in plan.events if event.terminal}
        first = next(c for c in crossings if c.event in terminal)
        return Status("event", time, f"stopped by the terminal event {first.event}")

    def _crossings(self, table: Crossings, number: int) -> list[Crossing]:
        return [self._crossing(table, row) for row in range(*table.of(number).indices(len(table.run)))]

    def _crossing(self, table: Crossings, row: int) -> Crossing:
        event = int(table.event[row])
        values: dict[str, Any] = {name: float(x[row]) for name, x in table.scalars.items()}
        values |= {name: x[row].tolist() for name, x in table.records.get(event, {}).items()}
        time, slope, noise = (float(x[row]) for x in (table.time, table.slope, table.noise))
        return Crossing(self._names[event], time, int(table.direction[row]), True, True, values, slope, noise)

    def _cost(self, number: int) -> SolverRecord:
        found, prepared = self._found, self._prepared
        price, settings = prepared.plan.flow.traits.gradients, prepared.settings
        steps, rejected, evaluations = (int(found.numbers[k][number]) for k in ("steps", "rejected", "evaluations"))
        return SolverRecord(
            kind=prepared.plan.method.kind,
            rtol=settings.rtol,
            atol=settings.atol,
            steps=steps,
            rejected=rejected,
            vector_field_evaluations=price * evaluations,
            event_evaluations=price * int(found.event_evaluations[number]),
            reduction=prepared.reduction.name,
            reduction_reason=prepared.reduction.reason,
            seconds_compile=found.seconds_compile / len(self),
            seconds_run=found.seconds_run / len(self),
            implicit=prepared.plan.method.implicit,
            compensated=prepared.plan.method.compensated,
        )


def _by_event(names: Sequence[str], crossings: Sequence[Crossing]) -> dict[str, tuple[Crossing, ...]]:
    return {name: tuple(c for c in crossings if c.event == name) for name in names}
