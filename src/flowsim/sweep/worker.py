"""A warm process that runs members one after the other: `python -m flowsim.sweep.worker DIR --answers FD [--cores …]`.

It reads ids of members from stdin, a line each, and answers each on the file descriptor with how it ended. When
stdin closes it stops where nothing is lost: at the next checkpoint of the member that it runs.
"""

import argparse
import os
import pathlib
import queue
import signal
import sys
import threading

from .ended import INTERRUPTED

READY = "ready\n"
AGAIN = 75  # exit code: start another process in place of this one
_MAPPINGS = 40_000  # of the 65 530 that Linux allows a process; each compiled program takes a few
_LOOK_EVERY = 25  # members


def main() -> None:
    """The loop of a worker process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--answers", type=int, required=True)
    parser.add_argument("--cores", default="")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})  # before JAX counts them
    answers = os.fdopen(options.answers, "w", buffering=1, encoding="utf8")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to every process; the one in front decides
    signal.signal(signal.SIGTERM, _leave)  # outside a run, which has a handler of its own
    work = _Work()
    from .folder import Sweep
    from .member import run_member  # loads JAX and the whole simulator

    answers.write(READY)
    sweep = Sweep.read(options.folder)
    for count, name in enumerate(iter(work.take, None), 1):
        if name not in sweep.members:  # added since
            sweep = Sweep.read(options.folder)
        ended = run_member(sweep, name)
        work.over()
        answers.write(ended.line())
        if ended.state == INTERRUPTED:
            answers.close()
            sys.stderr.flush()
            os._exit(128 + ended.signal)  # a thread may still compute
        if count % _LOOK_EVERY == 0 and _crowded():
            sys.exit(AGAIN)


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


class _Work:
    """Ids of members as they arrive. The end of stdin interrupts the member that runs."""

    def __init__(self) -> None:
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._busy, self._lock = False, threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> str | None:
        """The next id, None at the end."""
        name = self._queue.get()
        with self._lock:
            self._busy = name is not None
        return name

    def over(self) -> None:
        """The member has ended."""
        with self._lock:
            self._busy = False

    def _read(self) -> None:
        for line in sys.stdin:
            self._queue.put(line.strip())
        self._queue.put(None)
        with self._lock:
            if self._busy:
                os.kill(os.getpid(), signal.SIGTERM)


def _crowded() -> bool:
    """Would more compiled programs soon come to Linux's limit of mappings, where the next ends in a crash?"""
    try:
        with open("/proc/self/maps", "rb") as file:
            return sum(1 for _ in file) > _MAPPINGS
    except OSError:
        return False


if __name__ == "__main__":
    main()
