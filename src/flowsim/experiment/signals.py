"""SIGINT and SIGTERM: stop where nothing is lost."""

import functools
import pathlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..plugin import sources

T = TypeVar("T")


class Interrupted(BaseException):
    """A signal ended the run; everything until the last whole chunk is on disk.

    Not an `Exception`: the handler raises it wherever the process happens to be, in libraries too, and an
    `except Exception` there must not swallow it.

    **Fields:** `signal`: its number; `folder`: where to resume; `abandoned`: a chunk is still being computed in the
    background, so the process must end without waiting for it.
    """

    def __init__(self, number: int, folder: pathlib.Path, command: str = "run", *, abandoned: bool = False):
        plugins = "".join(f" --plugin {shlex.quote(str(path))}" for path in sources())
        super().__init__(f"interrupted; resume with: flowsim {command} --resume {folder}{plugins}")
        self.signal, self.folder, self.abandoned = number, folder, abandoned


class Stop:
    """What a signal asked for. It ends the run at once, but in a deferred section only where the run checks.

    A second one ends the run at once anywhere. A signal is always recorded as well: one whose exception got lost
    (Python drops those that are raised inside a finalizer) ends the run at its next `check`.

    **Arguments:** `command`: the one that resumes; `outer`: what it asked for counts here too, where this run is one of
    many in threads that hear of no signal themselves.
    """

    def __init__(self, folder: pathlib.Path, command: str = "run", outer: "Stop | None" = None):
        self._folder, self._command, self._outer = folder, command, outer
        self._number, self._deferred = 0, False
        self._threads: list[threading.Thread] = []

    @property
    def asked(self) -> int:
        """The signal that ends the run, 0 if there is none."""
        return self._number or (0 if self._outer is None else self._outer.asked)

    def ask(self, number: int) -> None:
        """End the run at its next `check`, as the signal would."""
        self._number = number

    def handle(self, number: int, frame: object) -> None:
        first, self._number = not self._number, number
        if not (first and self._deferred):
            raise self._interrupted()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A section that one signal does not cut short."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def run(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, computed in another thread: Python calls signal handlers only in this one, and not
        while it waits for compiled code, which may take minutes."""
        with self.aside(work) as result:
            return result()

    @contextmanager
    def aside(self, work: Callable[[], T]) -> Iterator[Callable[[], T]]:
        """While the block runs, so does `work`, in another thread; what the block is given waits for its result.

        Beside any but the main thread it is done where the block asks for it: signals do not come there.
        """
        if threading.current_thread() is not threading.main_thread():
            yield functools.cache(work)
            return
        outcome: list[Any] = []
        thread = threading.Thread(target=_keep, args=(work, outcome), daemon=True)
        self._threads.append(thread)
        thread.start()

        def wait() -> T:
            while thread.is_alive():
                thread.join(1.0)
            result, error = outcome
            if error is not None:
                raise error
            return result

        try:
            yield wait
        except Interrupted:
            raise  # the process ends without the thread
        except BaseException:
            thread.join()
            raise
        thread.join()

    def check(self) -> None:
        """**Raises:** `Interrupted` if a signal came since the block began."""
        if self.asked:
            raise self._interrupted()

    def _interrupted(self) -> Interrupted:
        here = threading.current_thread()
        abandoned = any(thread.is_alive() for thread in self._threads if thread is not here)
        return Interrupted(self.asked, self._folder, self._command, abandoned=abandoned)


def _keep(work: Callable[[], Any], outcome: list[Any]) -> None:
    try:
        outcome.extend((work(), None))
    except BaseException as error:  # raised again by the thread that waits
        outcome.extend((None, error))


@contextmanager
def stopping(folder: pathlib.Path, command: str = "run", outer: Stop | None = None) -> Iterator[Stop]:
    """SIGINT and SIGTERM go to a `Stop` while the block runs; they stay with an `outer` one that hears of them."""
    stop = Stop(folder, command, outer)
    if outer is not None or threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers; a caller in a thread stops its own way
        return
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
        stop.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
