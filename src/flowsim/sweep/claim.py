"""Who runs a member: a small file that a worker writes before it starts, touches while it works, and removes after.

A claim spares work and tells `flowsim status` what runs; that two processes never write one run folder is guaranteed by
the lock of the run folder itself, which the operating system drops with its process.
"""

import contextlib
import datetime
import json
import os
import pathlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

BEAT = 15.0  # seconds between touches
_SILENT = 8 * BEAT  # a process of another host that has not touched its claim for so long is gone


class Busy(Exception):
    """Another process runs this member."""


@contextlib.contextmanager
def claimed(path: pathlib.Path) -> Iterator[bool]:
    """Hold the claim while the block runs; true if it was left behind by a process that is gone. **Raises:** `Busy`."""
    content, left_behind = json.dumps(_owner()).encode(), False
    for _ in range(3):  # a claim that is gone or stale is removed once
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            owner = read(path)
            if owner is not None and alive(path, owner):
                raise Busy from None
            path.unlink(missing_ok=True)
            left_behind = True
    else:
        raise Busy
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with _beating(path):
            yield left_behind
    finally:
        path.unlink(missing_ok=True)


def read(path: pathlib.Path) -> dict[str, Any] | None:
    """The owner that a claim names; None if there is no claim, {} if it was torn while it was written."""
    try:
        content = json.loads(path.read_bytes() or b"{}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def alive(path: pathlib.Path, owner: dict[str, Any]) -> bool:
    """Does the owner still live? On this host its process is looked for; another host's must have touched the claim."""
    if owner.get("host") != socket.gethostname():
        return _age(path) < _SILENT
    pid = owner.get("pid")
    return isinstance(pid, int) and born(pid) == owner.get("born")


def born(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None if there is no such process, or a dead one."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if pathlib.Path("/proc/self/stat").exists():
            return None
        try:  # no /proc on this system
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return "unknown"
    return None if fields[0] == "Z" else fields[19]


def _owner() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "born": born(pid),
        "task": os.environ.get("FLOWSIM_TASK"),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _age(path: pathlib.Path) -> float:
    """Seconds since the claim was touched, by the clock of the file server: hosts' clocks may differ by more."""
    clock = path.parent / f".clock.{os.getpid()}"
    try:
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink(missing_ok=True)
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    except OSError:
        return 0.0  # a reader who may not write here cannot know: believe the claim


@contextlib.contextmanager
def _beating(path: pathlib.Path) -> Iterator[None]:
    _BEATS.hold(path)
    try:
        yield
    finally:
        _BEATS.release(path)


class _Beats:
    """One thread of the process that touches the claims that it holds; none is started for a member of milliseconds."""

    def __init__(self) -> None:
        self._paths: set[pathlib.Path] = set()
        self._thread: threading.Thread | None = None

    def hold(self, path: pathlib.Path) -> None:
        self._paths.add(path)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def release(self, path: pathlib.Path) -> None:
        self._paths.discard(path)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT):
            for path in tuple(self._paths):
                with contextlib.suppress(OSError):
                    os.utime(path)


_BEATS = _Beats()
