"""Members in this process: on threads, which share the programs that the first member compiles."""

import collections
import concurrent.futures
import signal
import time
from collections.abc import Sequence

from ..ensemble.loop import BESIDE, cores, on_device
from ..experiment.signals import Stop
from .ended import BUSY, Ended
from .folder import Sweep
from .member import run_member
from .place import AbstractPlace

_AGAIN = 0.5  # seconds before a member that another process runs is looked at again


class InProcess(AbstractPlace):
    """Runs each member as a worker process would, as many at a time as there are cores.

    Nothing is started and nothing compiled twice, which for small members is the quickest; but a member that crashes
    takes the others with it.
    """

    def __init__(self, sweep: Sweep, jobs: int | None = None):
        self._sweep, self._jobs = sweep, jobs or cores()
        # XLA computes without the interpreter's lock, each run on the thread that started it.
        self._pool = concurrent.futures.ThreadPoolExecutor(self._jobs, thread_name_prefix=BESIDE)
        self._waiting: collections.deque[str] = collections.deque()
        self._running: dict[concurrent.futures.Future[Ended], str] = {}
        self._stop, self._compiled, self._started = Stop(sweep.path), False, 0

    def submit(self, members: Sequence[str], seconds: float | None = None) -> None:
        self._waiting.extend(members)
        self._feed()

    def poll(self, seconds: float) -> list[Ended]:
        over, _ = concurrent.futures.wait(self._running, seconds, concurrent.futures.FIRST_COMPLETED)
        for future in over:
            del self._running[future]
        ended = [future.result() for future in over]
        busy = [one.member for one in ended if one.state == BUSY]
        if busy and len(busy) == len(ended):
            time.sleep(_AGAIN)
        self._waiting.extend(busy)
        self._compiled = self._compiled or len(ended) > len(busy)
        self._feed()
        return [one for one in ended if one.state != BUSY]

    def active(self) -> int:
        return len(self._waiting) + len(self._running)

    def cancel(self) -> None:
        self._waiting.clear()
        self._stop.ask(signal.SIGTERM)
        concurrent.futures.wait(self._running)

    def close(self) -> None:
        self._pool.shutdown(wait=not self._running, cancel_futures=True)  # after a second signal nothing is waited for

    def _feed(self) -> None:
        """The first member alone, until its programs are there for the others."""
        while self._waiting and len(self._running) < (self._jobs if self._compiled else 1):
            self._running[self._pool.submit(self._run, self._waiting.popleft(), self._started)] = ""
            self._started += 1

    def _run(self, member: str, number: int) -> Ended:
        with on_device(number):
            return run_member(self._sweep, member, self._stop)
