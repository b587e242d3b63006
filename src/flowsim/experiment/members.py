"""Members of an ensemble in the run folder, so that an interruption loses none that has ended."""

import dataclasses
from typing import Any

import numpy as np

from ..certificate import Certificate
from ..ensemble import Member, MemberStore
from ..records import Crossing, EventRecord, Kinks, SolverRecord, Status, Switch, Trajectory, Variable
from ..store import Identity, RunFolder


class FolderStore(MemberStore):
    """The members of one run folder, a file for each."""

    def __init__(self, run: RunFolder, identity: Identity):
        self._run, self._identity = run, identity

    def get(self, seed: int) -> Member | None:
        stored = self._run.segments.piece("seed", seed, self._identity)
        return None if stored is None else unpacked(seed, *stored)

    def put(self, member: Member) -> None:
        self._run.segments.write_piece("seed", member.seed, *packed(member), self._identity)


def packed(member: Member) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and a JSON document that hold a member to the last bit."""
    trajectory = member.trajectory
    about = {
        "status": dataclasses.asdict(member.status),
        "events": [dataclasses.asdict(record) for record in member.events.values()],
        "solver": dataclasses.asdict(member.solver),
        "energy_identity": member.energy_identity,
        "certificate": None if member.certificate is None else dataclasses.asdict(member.certificate),
        "variables": {name: dataclasses.asdict(variable) for name, variable in trajectory.variables.items()},
        "coordinates": {name: list(labels) for name, labels in trajectory.coordinates.items()},
    }
    arrays = {"time": trajectory.time, **{f"probe.{name}": values for name, values in trajectory.values.items()}}
    return arrays, written_plain(about)


def unpacked(seed: int, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> Member:
    """The member of `packed`."""
    about = read_plain(about)
    events = {record["name"]: event_of(record) for record in about["events"]}
    variables = {name: Variable(**{**v, "dims": tuple(v["dims"])}) for name, v in about["variables"].items()}
    values = {name: arrays[f"probe.{name}"] for name in variables}
    return Member(
        seed,
        Status(**about["status"]),
        events,
        _solver(about["solver"]),
        Trajectory(arrays["time"], values, variables, about["coordinates"]),
        about["energy_identity"],
        None if about["certificate"] is None else _certificate(about["certificate"]),
    )


def _solver(record: dict[str, Any]) -> SolverRecord:
    switches = tuple(Switch(**switch) for switch in record["switches"])
    kinks = Kinks(**record["kinks"]) if record.get("kinks") else None
    return SolverRecord(**{**record, "switches": switches, "kinks": kinks})


def event_of(record: dict[str, Any]) -> EventRecord:
    """The record that `dataclasses.asdict` took apart."""
    return EventRecord(**{**record, "crossings": tuple(Crossing(**crossing) for crossing in record["crossings"])})


def written_plain(tree: Any) -> Any:
    """Plain data that JSON can hold to the last bit: it has no infinity and no NaN."""
    return _map(tree, _written)


def read_plain(tree: Any) -> Any:
    """The data of `written_plain`."""
    return _map(tree, _read)


def _map(tree: Any, change) -> Any:
    if isinstance(tree, dict):
        return change({key: _map(value, change) for key, value in tree.items()})
    if isinstance(tree, list | tuple):
        return [_map(value, change) for value in tree]
    return change(tree)


def _written(value: Any) -> Any:
    return {"float": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _read(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) and set(value) == {"float"} else value


def _certificate(stored: dict[str, Any]) -> Certificate:
    """JSON has lists where a certificate has tuples."""
    errors = {name: tuple(bounds) for name, bounds in stored["crossing_errors"].items()}
    tuples = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return Certificate(**{**stored, **tuples, "crossing_errors": errors})
