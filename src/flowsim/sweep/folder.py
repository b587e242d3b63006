"""The folder of a sweep.

`sweep.json`: its plans, one for each `flowsim sweep` into it · `members.jsonl`: a line a member · `members/HASH/`: run
folders · `running/HASH.json`: who runs a member now · `failed/HASH.json`: why a member's process or setup failed ·
`logs/`: what worker processes said · `jobs/`: what was submitted to a queue.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from filelock import FileLock, Timeout

from .._files import StoreError, write_json, write_text
from ..config import Place
from .axes import Axis
from .expand import Member, Plan, resolved

SCHEMA_VERSION = 1
PLANS, MEMBERS = "sweep.json", "members.jsonl"
_WAIT = 60.0  # seconds for another `flowsim sweep` that adds to the folder


class SweepError(Exception):
    """A sweep that cannot be made, read or run; the message says what to do."""


@dataclasses.dataclass
class Sweep:
    """A sweep as its folder has it.

    **Fields:** `members` by their ids, in the order in which they were asked for; `resolved`: for each plan the values
    of its first member by dotted key, so that a reader needs neither the plan's plugins nor this version's defaults.
    """

    path: pathlib.Path
    plans: list[Plan]
    members: dict[str, Member]
    resolved: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def folder(self, member: str) -> pathlib.Path:
        """A member's run folder."""
        return self.path / "members" / member

    def claim(self, member: str) -> pathlib.Path:
        """The file that says who runs a member."""
        return self.path / "running" / f"{member}.json"

    def failure(self, member: str) -> pathlib.Path:
        """The file that says why a member failed without a summary."""
        return self.path / "failed" / f"{member}.json"

    @classmethod
    def read(cls, path: pathlib.Path) -> "Sweep":
        """**Raises:** `SweepError` if the folder is not a sweep's, or damaged."""
        file = path / PLANS
        if not file.is_file():
            raise SweepError(f"{path} is not the folder of a sweep: it holds no {PLANS}")
        try:
            records = json.loads(file.read_text(encoding="utf8"))["plans"]
            members = {member.id: member for member in _members(path / MEMBERS)}
            return cls(path, [_plan(one) for one in records], members, [one["resolved"] for one in records])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SweepError(f"{file}: cannot be read ({error}); it is damaged") from error

    @classmethod
    def add(cls, path: pathlib.Path, plan: Plan, members: Sequence[Member]) -> "Sweep":
        """Make the folder of a sweep, or add a plan and its members to it; those that are there stay as they are.

        **Raises:** `SweepError` for a folder of something else; `StoreError` if it cannot be written.
        """
        with _changing(path):
            return cls._grown(path, plan, members)

    @classmethod
    def inside(cls, path: pathlib.Path, plan: Plan, members: Sequence[Member]) -> "Sweep":
        """The same in the folder of a run that consists of these members, whose lock this process holds.

        **Raises:** `StoreError` if it cannot be written.
        """
        with _written(path):
            for name in _OWN[1:]:
                (path / name).mkdir(exist_ok=True)
            return cls._grown(path, plan, members)

    @classmethod
    def _grown(cls, path: pathlib.Path, plan: Plan, members: Sequence[Member]) -> "Sweep":
        there = (path / PLANS).exists()
        sweep = cls.read(path) if there else cls(path, [], {})
        if plan in sweep.plans:
            number = sweep.plans.index(plan)
        else:
            number = len(sweep.plans)
            sweep.plans.append(plan)
            sweep.resolved.append(resolved(plan, members[0]))
            records = list(map(_record, sweep.plans, sweep.resolved))
            write_json(path / PLANS, {"schema_version": SCHEMA_VERSION, "plans": records})
        new = [m for m in members if m.id not in sweep.members]
        sweep.members |= {m.id: dataclasses.replace(m, plan=number) for m in new}
        if new or not there:
            write_text(path / MEMBERS, "".join(map(_line, sweep.members.values())))
        return sweep


@contextlib.contextmanager
def _changing(path: pathlib.Path) -> Iterator[None]:
    """The folder, made if it is not there, for one process at a time."""
    with _written(path):
        there = path.exists()
        if there and not path.is_dir():
            raise SweepError(f"{path} is not a folder: choose another --out")
        if there and not (path / PLANS).exists() and any(p for p in path.iterdir() if p.name not in _OWN):
            raise SweepError(f"{path} is there already, and is not the folder of a sweep: choose another --out")
        for name in _OWN[1:]:
            (path / name).mkdir(parents=True, exist_ok=True)
        with FileLock(path / _OWN[0], timeout=_WAIT):
            yield


@contextlib.contextmanager
def _written(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise SweepError(f"{path}: another `flowsim sweep` is adding to this folder; try again") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}; choose another --out") from error


_OWN = (".lock", "members", "running", "failed", "logs", "jobs")


def _record(plan: Plan, resolved: dict[str, Any]) -> dict[str, Any]:
    return {
        "resolved": resolved,
        "origin": plan.origin,
        "text": plan.text,
        "folder": str(plan.folder),
        "overrides": plan.overrides,
        "plugins": plan.plugins,
        "axes": [{"keys": axis.keys, "points": axis.points} for axis in plan.axes],
    }


def _plan(record: dict[str, Any]) -> Plan:
    axes = tuple(
        Axis(tuple(axis["keys"]), tuple(tuple(point) for point in axis["points"]), Place(PLANS))
        for axis in record["axes"]
    )
    folder = pathlib.Path(record["folder"])
    return Plan(record["text"], record["origin"], folder, tuple(record["overrides"]), axes, tuple(record["plugins"]))


def _line(member: Member) -> str:
    record = {"id": member.id, "plan": member.plan, "overrides": member.overrides, "values": member.values}
    return json.dumps(record, ensure_ascii=False) + "\n"


def _members(path: pathlib.Path) -> Iterator[Member]:
    if not path.exists():
        return
    with path.open(encoding="utf8") as file:
        for line in file:
            record = json.loads(line)
            yield Member(record["id"], record["plan"], tuple(record["overrides"]), record["values"])
