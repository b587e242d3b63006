"""The commit of an experiment's folder, asked of git without letting the folder run anything.

An unpacked archive or a clone may hold a `.git` or a bare repository of its maker's choice, whose configuration can
name programs: file system monitors, filters, hooks, transports of a promisor remote. `git status` runs several of them.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
from typing import Any

UNKNOWN = "unknown"
_SECONDS = 5.0
_GIT = (
    "git", "--no-optional-locks",
    "-c", "safe.bareRepository=explicit",  # a folder that is itself a bare repository is not obeyed
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.pager=cat",
)  # fmt: skip
_COMMIT = ("rev-parse", "--verify", "HEAD")  # runs nothing
# Compares by the index's times and sizes, and so needs no filter to read a file; untracked files do not count.
_CHANGED = ("diff-index", "--quiet", "--no-ext-diff", "--no-textconv", "--ignore-submodules", "HEAD", "--")


def git_state(folder: pathlib.Path) -> dict[str, Any] | None:
    """`commit` of the folder and whether tracked files have `changed`; None outside git, `unknown` if git hangs."""
    code, commit = _ask(folder, *_COMMIT)
    if code is None:
        return {"commit": UNKNOWN, "changed": UNKNOWN}
    if code != 0:
        return None
    code, _ = _ask(folder, *_CHANGED)
    return {"commit": commit, "changed": {0: False, 1: True}.get(UNKNOWN if code is None else code, UNKNOWN)}


def _ask(folder: pathlib.Path, *arguments: str) -> tuple[int | None, str]:
    """Exit code and output of git; (None, "") if it took too long, (-1, "") without git."""
    try:
        process = subprocess.Popen(
            (*_GIT, "-C", str(folder), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own, so that what it started ends with it
        )
    except OSError:
        return -1, ""
    with process:
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            if process.poll() is None:
                _end(process)
    return process.returncode, output.strip()


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()


def _environment() -> dict[str, str]:
    """Without git's variables, which could point to another repository, and without any way to a remote one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
