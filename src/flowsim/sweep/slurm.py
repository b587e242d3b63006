"""Slurm: job arrays that run without this process, and what the queue says of them.

Nothing is kept of a submission but a file `jobs/NAME.json` that lists the members of each task, written before
`sbatch` and named as the job is: a process that dies in between leaves a list without a job, or a job whose list is
there.
"""

import dataclasses
import json
import os
import pathlib
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .._files import write_json
from . import task
from .ended import Ended
from .folder import Sweep
from .place import AbstractPlace, PlaceError
from .places import Options, check_slurm_options
from .state import LOST, RUNNING, WAITING, Queued

_PREFIX = "flowsim-"
_ANSWERS = 60.0  # seconds that a command of Slurm may take
_WORTH = 300.0  # seconds that a task should last: starting one costs some
_MOST_TASKS = 1000  # of one submission where it is not known how long a member takes
_GRACE = 120  # seconds before the time limit at which a task is told to stop
_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")


@dataclasses.dataclass
class Slurm(AbstractPlace):
    """Submits job arrays, and returns."""

    sweep: Sweep
    options: Options
    detached = True

    def __post_init__(self) -> None:
        if shutil.which("sbatch") is None:
            raise PlaceError("there is no Slurm on this machine (no sbatch): submit from a login node of the cluster, "
                             "or use --on local")  # fmt: skip
        self._given = check_slurm_options(self.options.slurm)
        self.submitted: list[str] = []  # job ids

    def submit(self, members: Sequence[str], seconds: float | None = None) -> None:
        tasks = grouped(members, self.options.per_task or self._members_per_task(len(members), seconds))
        limit = array_limit()
        for start in range(0, len(tasks), limit):
            try:
                self._submit(tasks[start : start + limit])
            except PlaceError as error:
                given = sum(len(task) for task in tasks[:start])
                raise PlaceError(
                    f"{given} of {len(members)} members were submitted; {error}; "
                    f"`flowsim sweep --resume {self.sweep.path} --on slurm` submits the rest"
                ) from error

    def poll(self, seconds: float) -> list[Ended]:
        return []  # the queue's work is seen in the folder

    def active(self) -> int:
        return 0

    def cancel(self) -> None:
        """Take everything of this sweep out of the queue; what runs stops at a checkpoint."""
        names = [path.stem for path in (self.sweep.path / "jobs").glob(f"{_PREFIX}*.json")]
        for start in range(0, len(names), 100):
            _ask(["scancel", "--name", ",".join(names[start : start + 100])])

    def close(self) -> None:
        pass

    def _members_per_task(self, count: int, seconds: float | None) -> int:
        """As many as make a task worth its start, but not so many that tasks which may run at once find nothing."""
        if seconds is None:
            return -(-count // _MOST_TASKS)
        return max(1, min(int(_WORTH / max(seconds, 1e-3)), -(-count // (self.options.jobs or 1))))

    def _submit(self, tasks: Sequence[Sequence[str]]) -> None:
        name = _PREFIX + secrets.token_hex(6)
        listed = self.sweep.path / "jobs" / f"{name}.json"
        write_json(listed, {"tasks": tasks})
        try:
            answer = _ask(self._command(name, len(tasks)), stdin=_script(self.sweep.path, name))
        except PlaceError:
            if not any(job == name for job, _ in _queue()):  # one that was accepted all the same needs its list
                listed.unlink(missing_ok=True)
            raise
        self.submitted.append(answer.partition(";")[0].strip())

    def _command(self, name: str, count: int) -> list[str]:
        limit = f"%{self.options.jobs}" if self.options.jobs else ""
        logs = self.sweep.path.resolve() / "logs" / "slurm-%A_%a.log"
        return [
            "sbatch", "--parsable", f"--job-name={name}", f"--array=0-{count - 1}{limit}", "--requeue",
            f"--signal=B:USR1@{_GRACE}", "--open-mode=append", f"--output={logs}", *self._given,
        ]  # fmt: skip


def grouped(members: Sequence[str], size: int) -> list[list[str]]:
    """Members in groups of at most `size`."""
    return [list(members[start : start + size]) for start in range(0, len(members), size)]


def _script(folder: pathlib.Path, name: str) -> str:
    """`exec`: the signal before the time limit goes to the batch process alone, which must be ours."""
    command = [sys.executable, "-m", task.__name__, str(folder.resolve()), name]
    return f'#!/bin/sh\nexec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID"\n'


def array_limit() -> int:
    """How many tasks an array of this cluster may have: indices stay below MaxArraySize."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask(["scontrol", "show", "config"]), re.MULTILINE)
    return max(1, int(found[1]) - 1) if found else 1000


def queued(sweep: Sweep) -> dict[str, Queued]:
    """What the queue says of each member that was submitted to it.

    **Raises:** `PlaceError` if Slurm does not answer.
    """
    jobs = {path.stem: path for path in (sweep.path / "jobs").glob(f"{_PREFIX}*.json")}
    if not jobs:
        return {}
    if shutil.which("squeue") is None:
        raise PlaceError("there is no Slurm on this machine: what it was given is seen on the cluster only")
    tasks = _queue()
    found: dict[str, Queued] = {}
    for since, name, path in sorted((path.stat().st_mtime, name, path) for name, path in jobs.items()):
        for index, members in enumerate(_tasks(path)):
            state = tasks.get((name, index), Queued(LOST, f"its task {index} of {name} is in the queue no more"))
            for member in members:
                if state.state != LOST or found.get(member, state).state == LOST:  # the latest that still stands
                    found[member] = dataclasses.replace(state, since=since)
    return found


def _queue() -> dict[tuple[str, int], Queued]:
    """Tasks of this user's jobs that have not ended, by the names of their jobs and their numbers."""
    user = str(os.getuid())
    listed = _ask(["squeue", "--noheader", "--array", f"--user={user}", "--states=all", "--format=%j|%K|%T|%r"])
    found = {}
    for line in listed.splitlines():
        name, index, state, reason = (*line.split("|"), "", "", "")[:4]
        if name.startswith(_PREFIX) and index.isdigit() and state not in _ENDED:
            running = state in ("RUNNING", "COMPLETING", "STAGE_OUT")
            found[name, int(index)] = Queued(RUNNING if running else WAITING, f"{state.lower()}: {reason}")
    return found


def _tasks(path: pathlib.Path) -> list[list[str]]:
    content: Mapping[str, Any] = json.loads(path.read_bytes())
    return content["tasks"]


def _ask(command: Sequence[str], stdin: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_ANSWERS, check=False)
    except subprocess.TimeoutExpired as error:
        said = " ".join((error.stderr or b"").decode(errors="replace").split()) or "ask `scontrol ping`"
        raise PlaceError(f"Slurm does not answer {command[0]} within {_ANSWERS:.0f} s: {said}") from None
    except OSError as error:
        raise PlaceError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise PlaceError(f"{command[0]} refused: {said}")
    return done.stdout
