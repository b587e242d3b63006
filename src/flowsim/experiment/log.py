"""`log.txt` of a run folder."""

import logging
import pathlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..store import StoreError


class _Handler(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk is reported by the next segment, with a remedy; the log itself may lose a line."""


@contextmanager
def logging_to(folder: pathlib.Path, *, fresh: bool) -> Iterator[logging.Logger]:
    """A logger that writes into the folder while the block runs, after what is there unless `fresh`.

    **Raises:** `StoreError` if it cannot be written.
    """
    log, path = logging.getLogger("flowsim"), folder / "log.txt"
    try:
        handler = _Handler(path, "w" if fresh else "a", encoding="utf8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}; choose another --out") from error
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()
