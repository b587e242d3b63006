"""What a task of a queue runs: `python -m flowsim.sweep.task DIR JOB TASK`, some members one after the other.

This process starts a warm one and watches it, so that a member that crashes leaves the task's others alone. SIGUSR1,
which Slurm sends before the time limit, stops at a checkpoint and puts the task back into the queue.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from .drive import DiskFull, Stopped, drive
from .folder import Sweep
from .local import Local
from .place import PlaceError


def main() -> None:
    """Run one task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("job")
    parser.add_argument("task", type=int)
    options = parser.parse_args()
    time_is_up = []

    def stop(number: int, frame: object) -> None:
        time_is_up.append(number)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGUSR1, stop)
    members = json.loads((options.folder / "jobs" / f"{options.job}.json").read_bytes())["tasks"][options.task]
    os.environ["FLOWSIM_TASK"] = f"{options.job}/{options.task}"  # for the claims of its members
    sweep = Sweep.read(options.folder)
    try:
        tally = drive(Local(sweep, 1, pin=False), members, lambda _, ended: _tell(ended))
    except Stopped as stopped:
        if time_is_up:
            _requeue()
        sys.exit(128 + stopped.signal)
    except (DiskFull, PlaceError) as error:
        print(error, flush=True)
        sys.exit(2)
    sys.exit(1 if tally.failed else 0)


def _tell(ended) -> None:
    for one in ended:
        print(one.member, one.state, one.reason, flush=True)


def _requeue() -> None:
    """Back into the queue; Slurm does so by itself only for what it preempts."""
    job, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if job is not None:
        with contextlib.suppress(OSError):
            subprocess.run(["scontrol", "requeue", f"{job}_{task}"], check=False, timeout=60)


if __name__ == "__main__":
    main()
