"""One writer per run folder."""

import contextlib
import json
import os
import pathlib
import socket
import stat

import filelock

from .._files import RefusedError, StoreError, explain

NAME = ".lock"
OWNER = "lock.json"


class Lock:
    """An exclusive lock of the operating system on a folder. Use as a context manager.

    The kernel drops it when its process ends, however it ends, so there are no stale locks to judge or to take over.
    While it is held, `lock.json` names the host and process for whoever is refused. The empty file `.lock` stays: to
    remove it would let two processes hold locks on two files of the same name.
    """

    def __init__(self, folder: pathlib.Path):
        self._path, self._owner = folder / NAME, folder / OWNER

    def __enter__(self) -> "Lock":
        path = self._path
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise RefusedError(f"{path}: is not a regular file; remove it")
        try:
            path.touch()  # `filelock` sets the mode that it is given: the umask's, then
            mode = stat.S_IMODE(path.stat().st_mode)
            self._lock = filelock.FileLock(path, timeout=0, mode=mode, thread_local=False)
            self._lock.acquire()
        except filelock.Timeout:
            raise StoreError(
                f"{path}: {self._writer()} is writing this folder; wait for it, or choose another --out"
            ) from None
        except NotImplementedError as error:
            raise StoreError(f"{path}: this file system has no locks; choose another --out") from error
        except OSError as error:
            raise StoreError(explain(path, error)) from error
        with contextlib.suppress(OSError):  # a courtesy: the lock itself is held
            self._owner.unlink(missing_ok=True)
            with open(self._owner, "x", encoding="utf8") as file:
                json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _writer(self) -> str:
        try:
            owner = json.loads(self._owner.read_text("utf8"))
            return f"process {int(owner['pid'])} on {str(owner['host'])[:80]}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
