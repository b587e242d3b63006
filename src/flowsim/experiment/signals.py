"""SIGINT and SIGTERM: stop where nothing is lost."""

import pathlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupted(Exception):
    """A signal ended the run; everything until the last whole chunk is on disk.

    **Fields:** `signal`: its number; `folder`: where to go on; `abandoned`: a chunk is still being computed in the
    background, so the process must end without waiting for it.
    """

    def __init__(self, number: int, folder: pathlib.Path, *, abandoned: bool = False):
        super().__init__(f"interrupted; go on with: flowsim run --resume {folder}")
        self.signal, self.folder, self.abandoned = number, folder, abandoned


class Stop:
    """What a signal asked for. It ends the run at once, but in a section of patience only where the run obeys.

    A second one ends the run at once anywhere.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder, self._number, self._patient, self._busy = folder, 0, False, False

    def handle(self, number: int, frame: object) -> None:
        if self._number or not self._patient:
            raise Interrupted(number, self._folder, abandoned=self._busy)
        self._number = number

    @contextmanager
    def patience(self) -> Iterator[None]:
        """A section that one signal does not cut short."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def run(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, computed in another thread: Python calls signal handlers only in this one, and not
        while it waits for compiled code, which may take minutes."""
        if threading.current_thread() is not threading.main_thread():
            return work()
        self._busy = True
        outcome: list[Any] = []
        thread = threading.Thread(target=_keep, args=(work, outcome), daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(1.0)
        self._busy = False
        result, error = outcome
        if error is not None:
            raise error
        return result

    def obey(self) -> None:
        """**Raises:** `Interrupted` if a signal came while work was going on."""
        if self._number:
            raise Interrupted(self._number, self._folder)


def _keep(work: Callable[[], Any], outcome: list[Any]) -> None:
    try:
        outcome.extend((work(), None))
    except BaseException as error:  # raised again by the thread that waits
        outcome.extend((None, error))


@contextmanager
def stopping(folder: pathlib.Path) -> Iterator[Stop]:
    """SIGINT and SIGTERM go to a `Stop` while the block runs."""
    stop = Stop(folder)
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; a caller in a thread stops its own way
        return
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
