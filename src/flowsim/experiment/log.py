"""`log.txt` of a run folder."""

import contextlib
import io
import logging
import os
import pathlib
import stat
import threading
import time
from collections.abc import Callable, Iterator

from .._files import RefusedError, StoreError, explain
from ..ensemble.loop import BESIDE


class _Handler(logging.StreamHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk is reported by the next file that is written, with a remedy; the log may lose a line."""


@contextlib.contextmanager
def logging_to(folder: pathlib.Path, *, fresh: bool) -> Iterator[logging.Logger]:
    """A logger that writes into the folder while the block runs, after what is there unless `fresh`.

    **Raises:** `StoreError` if it cannot be written.
    """
    log, path = logging.getLogger("flowsim"), folder / "log.txt"
    file = _opened(path, fresh=fresh)
    handler = _Handler(file)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_own_lines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield log
    finally:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # of a full disk
            file.close()


def _own_lines() -> Callable[[logging.LogRecord], bool]:
    """Of runs side by side, each beside the main thread writes what its own thread says, and nobody else does."""
    here = threading.current_thread()
    if here is not threading.main_thread():
        return lambda record: record.thread == here.ident
    return lambda record: record.levelno >= logging.WARNING or not str(record.threadName).startswith(BESIDE)


def _opened(path: pathlib.Path, *, fresh: bool) -> io.TextIOWrapper:
    """The file, never through a symbolic link (what is written stays in the folder) and never blocking on a pipe."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if fresh:
            path.unlink(missing_ok=True)
        if path.is_symlink():
            raise RefusedError(f"{path}: is a symbolic link, which flowsim does not write through; remove it")
        file = os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf8")
    except OSError as error:
        raise StoreError(explain(path, error)) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise RefusedError(f"{path}: is not a regular file; remove it")
    return file
