"""Progress of a command, on stderr, and what the log says between."""

import contextlib
import logging
from collections.abc import Iterator

from .._progress import Lines, Nowhere, Progress, watched
from ..config.problems import printable


def progress(*, quiet: bool = False) -> Progress:
    """A live line on a terminal, plain lines elsewhere."""
    return Progress(Nowhere if quiet else watched() or Lines)


@contextlib.contextmanager
def loading(*, quiet: bool = False) -> Iterator[None]:
    """While the block imports what takes seconds, a terminal says so."""
    with progress(quiet=quiet) as shown:
        shown.doing("loading JAX")
        yield


@contextlib.contextmanager
def telling(shown: Progress, *, verbose: bool) -> Iterator[None]:
    """While the block runs, warnings of the log are shown too, and with `verbose` all that `log.txt` gets."""
    log, handler = logging.getLogger("flowsim"), _Told(shown, logging.INFO if verbose else logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Told(logging.Handler):
    def __init__(self, shown: Progress, level: int):
        logging.Handler.__init__(self, level)
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        self._shown.say(printable(record.getMessage()))
