"""Worker processes on this machine, one per core or per device."""

import collections
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec

from .ended import BUSY, FAILED, INTERRUPTED, Ended
from .failure import record_failure
from .folder import Sweep
from .place import AbstractPlace, PlaceError
from .process import Process
from .state import finished, found_ended

_AGAIN = 0.5  # seconds before a member that another process runs is looked at again
_STOPS = 60.0  # seconds until a process that was asked to stop is killed: its checkpoints lose nothing
_STARTS = 3  # processes that may end before they are ready, one after the other
_INTERRUPTIONS = 3  # of one member by signals from elsewhere, before it is given up


class Local(AbstractPlace):
    """Runs members in `jobs` warm processes. One that crashes fails its member and is replaced.

    **Arguments:** `pin`: give each process cores of its own, or a device.
    """

    def __init__(self, sweep: Sweep, jobs: int | None = None, *, pin: bool = True):
        self._sweep, self._pin = sweep, pin
        self._devices = devices() if pin else []
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._jobs = jobs or len(self._devices) or len(self._cores) or os.cpu_count() or 1
        self._waiting: collections.deque[str] = collections.deque()
        self._later: collections.deque[tuple[float, str]] = collections.deque()
        self._slots: list[Process | None] = [None] * self._jobs
        self._selector = selectors.DefaultSelector()
        self._stillborn, self._stopping = 0, False
        self._interrupted: collections.Counter[str] = collections.Counter()

    def submit(self, members: Sequence[str], seconds: float | None = None) -> None:
        self._waiting.extend(members)
        self._feed()

    def active(self) -> int:
        return len(self._waiting) + len(self._later) + sum(p.member is not None for p in self._slots if p is not None)

    def poll(self, seconds: float) -> list[Ended]:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.append(self._later.popleft()[1])
        self._feed()
        found: list[Ended] = []
        if self._selector.get_map():
            for key, _ in self._selector.select(min(seconds, _AGAIN) if self._later else seconds):
                found += self._heard(key.data)
        elif self._later:
            time.sleep(min(seconds, _AGAIN))
        self._feed()
        return [ended for ended in found if not self._put_back(ended)]

    def stop(self) -> None:
        """Ask all to stop where nothing is lost, and start nothing more."""
        self._stopping = True
        self._waiting.clear()
        self._later.clear()
        for process in self._living():
            process.stop()

    def cancel(self) -> None:
        self.stop()
        until = time.monotonic() + _STOPS
        while self._living():
            if time.monotonic() > until:
                for process in self._living():
                    process.kill()
            for key, _ in self._selector.select(0.5):
                self._heard(key.data, replace=False)

    def close(self) -> None:
        for process in self._living():
            process.close()
        for slot, process in enumerate(self._slots):
            if process is not None:
                self._selector.unregister(process.fileno_answers)
                process.end()
                self._slots[slot] = None
        self._selector.close()

    def _living(self) -> list[Process]:
        return [process for process in self._slots if process is not None]

    def _feed(self) -> None:
        """A member for every idle process; a process for every member that finds none."""
        for slot, process in enumerate(self._slots):
            if not self._waiting:
                return
            if process is None:
                process = self._slots[slot] = self._start(slot)
            if process.member is None:
                process.send(self._waiting.popleft())

    def _start(self, slot: int) -> Process:
        cores = self._cores[slot :: self._jobs] if self._pin and not self._devices else []
        try:
            process = Process(self._sweep.path, cores=cores, environment=self._environment(slot))
        except OSError as error:
            raise PlaceError(f"a worker process cannot be started: {error.strerror or error}") from error
        self._selector.register(process.fileno_answers, selectors.EVENT_READ, slot)
        return process

    def _environment(self, slot: int) -> dict[str, str]:
        """One device for each process; processes that must share one share its memory too."""
        if not self._devices:
            return {}
        shared = -(-self._jobs // len(self._devices))
        memory = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / shared:.3f}"} if shared > 1 else {}
        return {"CUDA_VISIBLE_DEVICES": self._devices[slot % len(self._devices)], **memory}

    def _heard(self, slot: int, *, replace: bool = True) -> list[Ended]:
        process = self._slots[slot]
        assert process is not None
        found, closed = process.answers()
        if not closed:
            return found
        self._selector.unregister(process.fileno_answers)
        last = process.end()
        self._slots[slot] = None
        self._stillborn = 0 if process.ready else self._stillborn + ((process.code or 0) > 0)
        if self._stillborn >= _STARTS and replace:
            raise PlaceError(f"worker processes end before they can run anything; see {process.log}")
        if last is not None:
            self._sweep.claim(last.member).unlink(missing_ok=True)  # ours: its process is gone
            found.append(self._left(last))
        return found

    def _left(self, last: Ended) -> Ended:
        """What a process that is gone left of its member: it may have been killed when that was finished."""
        folder = self._sweep.folder(last.member)
        if finished(folder):
            return found_ended(last.member, folder)
        return record_failure(self._sweep, last) if last.state == FAILED else last

    def _put_back(self, ended: Ended) -> bool:
        """Members that another process runs, or that a signal from elsewhere stopped, wait for another turn."""
        if self._stopping:
            return False
        if ended.state == BUSY:
            self._later.append((time.monotonic() + _AGAIN, ended.member))
            return True
        if ended.state == INTERRUPTED:
            self._interrupted[ended.member] += 1
            if self._interrupted[ended.member] <= _INTERRUPTIONS:
                self._waiting.append(ended.member)
                return True
        return False


def devices() -> list[str]:
    """The GPUs that JAX would use here, by what CUDA calls them; none where JAX has no plugin for them."""
    if not any(find_spec(name) for name in ("jax_cuda12_plugin", "jax_cuda13_plugin")):
        return []
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in chosen.split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(i) for i, line in enumerate(line for line in listed.stdout.splitlines() if line.startswith("GPU "))]
