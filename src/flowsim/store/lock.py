"""One writer per run folder."""

import json
import os
import pathlib
import socket

from .._files import StoreError

NAME = "lock.json"


class Lock:
    """A file that names the host and process that writes a run folder. Use as a context manager.

    A lock whose process is gone on this host is stale and is taken over; one of another host is respected, because
    nothing here can tell whether that process still lives.
    """

    def __init__(self, folder: pathlib.Path):
        self._path = folder / NAME

    def __enter__(self) -> "Lock":
        try:
            self._create()
        except FileExistsError:
            self._take_over()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}; choose another --out") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    def _create(self) -> None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)

    def _take_over(self) -> None:
        try:
            owner = json.loads(self._path.read_text())
            host, pid = str(owner["host"]), int(owner["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            host, pid = "", 0  # torn while it was written: its writer is gone
        if host and (host != socket.gethostname() or _alive(pid)):
            raise StoreError(
                f"{self._path}: process {pid} on {host} is writing this folder; wait for it, choose another --out, "
                "or delete the lock if that process is gone"
            )
        self._path.unlink(missing_ok=True)
        try:
            self._create()
        except FileExistsError:
            raise StoreError(
                f"{self._path}: another process has just taken this folder; choose another --out"
            ) from None


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
