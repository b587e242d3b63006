"""Run the members of a sweep that are not done, at a place that this process waits for."""

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .ended import DISK, DONE, FAILED, Ended
from .place import AbstractPlace

_EVERY = 0.5  # seconds between looks at the place


class Stopped(Exception):
    """A signal ended the sweep; every member stands at a checkpoint."""

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.signal = number


class DiskFull(Exception):
    """A folder takes no more; the message names the file and what to do."""


@dataclasses.dataclass
class Tally:
    """How far a sweep is: of `members`, so many `done` and `failed`."""

    members: int
    done: int = 0
    failed: int = 0

    def count(self, ended: Ended) -> None:
        self.done += ended.state == DONE
        self.failed += ended.state == FAILED


def drive(place: AbstractPlace, members: Sequence[str], tell: Callable[[Tally, Sequence[Ended]], None]) -> Tally:
    """Submit members and wait for all of them; `tell` hears of each as it ends.

    **Raises:** `Stopped` after SIGINT or SIGTERM; `DiskFull`; `PlaceError`. The place has stopped by then.
    """
    tally = Tally(len(members))
    with _signals() as stop:
        try:
            place.submit(members)
            while place.active():
                ended = place.poll(_EVERY)
                for one in ended:
                    tally.count(one)
                tell(tally, ended)
                if full := next((one for one in ended if one.state == DISK), None):
                    raise DiskFull(full.reason)
                if stop:
                    raise Stopped(stop[0])
        except BaseException:
            place.cancel()
            raise
        finally:
            place.close()
    return tally


@contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM, noted instead of obeyed; a second one is obeyed."""
    heard: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return

    def note(number: int, frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
