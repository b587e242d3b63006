"""What has become of the members: read from their folders, and from the queue that they were submitted to."""

import collections
import dataclasses
import json
import os
import pathlib
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from .._files import RefusedError
from . import claim as _claim
from .ended import Ended
from .expand import Member
from .folder import Sweep

DONE, RUNNING, WAITING, FAILED, LOST = STATES = ("done", "running", "waiting", "failed", "lost")
AGAIN = "delete the folder, and it is run again"
_SAMPLED = 200  # members whose duration is read


@dataclasses.dataclass(frozen=True)
class MemberState:
    """**Fields:** `state`: done, running, waiting, failed, or lost: the process that ran it is gone; `reason`: of a
    failed or lost one; `again`: would `flowsim sweep --resume` run it?"""

    member: Member
    state: str
    reason: str = ""
    again: bool = False


@dataclasses.dataclass(frozen=True)
class Queued:
    """What a queue says of a submitted member: `state` waiting, running, or lost if the queue has forgotten it.

    `since`: when it was submitted, by the file server's clock.
    """

    state: str
    reason: str = ""
    since: float = 0.0


@dataclasses.dataclass(frozen=True)
class States:
    """All members of a sweep at one moment. `seconds`: what a member takes, the median of those that are done."""

    members: tuple[MemberState, ...]
    seconds: float | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many are in each state."""
        found = collections.Counter(one.state for one in self.members)
        return {state: found[state] for state in STATES}

    @property
    def seconds_left(self) -> float | None:
        """The work that is left, over as many members at once as run now; None if nothing runs or nothing is done."""
        counts = self.counts
        if self.seconds is None or not counts[RUNNING]:
            return None
        return self.seconds * (counts[WAITING] + counts[RUNNING] / 2) / counts[RUNNING]

    def pending(self) -> list[str]:
        """Ids of the members that are to be run."""
        return [one.member.id for one in self.members if one.again]


def finished(folder: str | pathlib.Path) -> bool:
    """Has a run folder everything? A checkpoint is removed last of all."""
    return os.path.exists(f"{folder}/summary.json") and not os.path.exists(f"{folder}/checkpoint.safetensors")


def summary(folder: str | pathlib.Path) -> dict[str, Any]:
    """A finished member's summary; {} if it cannot be read.

    **Raises:** `RefusedError` if it is of another run than that which the folder is named after.
    """
    try:
        with open(f"{folder}/summary.json", "rb") as file:
            content = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    refuse_other(folder, content.get("member"))
    return content


def refuse_other(folder: str | pathlib.Path, member: str | None) -> None:
    """**Arguments:** `member`: whose summary lies in a member's folder; None if it does not say.

    **Raises:** `RefusedError` if the folder is another member's.
    """
    if member is not None and member != os.path.basename(folder):
        raise RefusedError(f"{folder}: holds the run of another member, {member}; {AGAIN}")


def found_ended(name: str, folder: str | pathlib.Path) -> Ended:
    """How a member ended whose folder is finished."""
    content = summary(folder)
    return Ended.of_run(name, bool(content.get("complete")), str(content.get("message", "")))


def states(sweep: Sweep, queue: Mapping[str, Queued] | None = None) -> States:
    """The state of every member. No array is read: a name, two stats and a small JSON file a member.

    **Raises:** `RefusedError` for a folder that holds another member's run.
    """
    begun, claims, failures = (_names(sweep.path / name) for name in ("members", "running", "failed"))
    queue = queue or {}
    found = []
    for name, member in sweep.members.items():
        file = f"{name}.json"
        started, claimed = name in begun, file in claims
        if not (started or claimed or file in failures or name in queue):
            found.append(MemberState(member, WAITING, again=True))
            continue
        found.append(_state(sweep, member, started, claimed, file in failures, queue.get(name)))
    return States(tuple(found), _seconds(sweep, found))


def _state(
    sweep: Sweep, member: Member, started: bool, claimed: bool, failure: bool, queued: Queued | None
) -> MemberState:
    folder = f"{sweep.path}/members/{member.id}"  # as text: paths take most of the time of ten thousand members
    if started and finished(folder):
        content = summary(folder)
        if content.get("complete"):
            return MemberState(member, DONE)
        return MemberState(member, FAILED, str(content.get("message") or f"its summary.json cannot be read; {AGAIN}"))
    if claimed and (owner := _claim.read(sweep.claim(member.id))) is not None:
        if _claim.alive(sweep.claim(member.id), owner):
            return MemberState(member, RUNNING)
        where = f"process {owner.get('pid')} on {owner.get('host')}" if owner else "the process that started it"
        if queued is None or queued.state != WAITING:  # a requeued one will run again
            return MemberState(member, LOST, f"{where} is gone", again=True)
    if failure and not _submitted_again(queued, sweep.failure(member.id)):
        return MemberState(member, FAILED, _reason(sweep.failure(member.id)), again=True)
    if queued is not None:
        state = WAITING if queued.state == RUNNING else queued.state  # its task runs, but another member of it
        return MemberState(member, state, queued.reason, again=state == LOST)
    return MemberState(member, WAITING, again=True)


def _submitted_again(queued: Queued | None, failure: pathlib.Path) -> bool:
    """Does a queue hold a member that failed before it was submitted?"""
    if queued is None or queued.state == LOST:
        return False
    try:
        return queued.since > failure.stat().st_mtime
    except OSError:
        return False


def _reason(path: pathlib.Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"unknown: {path} cannot be read"


def _names(folder: pathlib.Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _seconds(sweep: Sweep, found: list[MemberState]) -> float | None:
    """The median time from a member's first file to its last."""
    done = [one.member.id for one in found if one.state == DONE]
    times = list(_durations(sweep, done[-_SAMPLED:]))
    return statistics.median(times) if times else None


def _durations(sweep: Sweep, names: list[str]) -> Iterator[float]:
    for name in names:
        folder = sweep.folder(name)
        try:
            yield max((folder / "summary.json").stat().st_mtime - (folder / "meta.json").stat().st_mtime, 0.0)
        except OSError:
            continue
