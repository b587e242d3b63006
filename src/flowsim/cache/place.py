"""Where compiled programs are kept, who may write there, and how much of them there is."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import platform
import stat
from collections.abc import Iterator

import jax
import jaxlib
import platformdirs

VARIABLE = "FLOWSIM_CACHE"
SUFFIX, WRITING = ".program", ".writing"
_OFF = ("0", "off", "false", "no")
_KIND = "jax-"  # folders of one kind of program begin so


@dataclasses.dataclass(frozen=True)
class Usage:
    """What is kept: `programs`, and `bytes` of them."""

    programs: int
    bytes: int


def place(path: str | os.PathLike[str] | None = None) -> pathlib.Path | None:
    """The folder of compiled programs, which may not exist yet; None where `FLOWSIM_CACHE=0` switches it off.

    **Arguments:** `path`: a folder, in place of `FLOWSIM_CACHE` and the platform's cache folder of the user.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given.lower() in _OFF:
        return None
    if path is not None:
        return pathlib.Path(path).expanduser().absolute()
    if given and given != "1":
        return pathlib.Path(given).expanduser().absolute()
    return platformdirs.user_cache_path("flowsim", appauthor=False) / "programs"


def opened(root: pathlib.Path) -> pathlib.Path:
    """The folder under `root` for programs of these versions on this kind of CPU, made if it is not there.

    A program is machine code, and reading one is running it: nobody else may be able to write there.

    **Raises:** `PermissionError` if somebody else could; `OSError` if it cannot be made.
    """
    folder = root / kind()
    for one in (root, folder):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        for one in (root, folder):
            _only_ours(one)
    return folder


def _only_ours(folder: pathlib.Path) -> None:
    found = folder.stat()
    if found.st_uid != os.getuid():
        why = "belongs to another user"
    elif stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        why = f"can be written by others (chmod go-w {folder})"
    else:
        return
    raise PermissionError(
        f"the cache folder {folder} {why}, and a program put there would run here: set {VARIABLE} to a folder of "
        "yours, or to 0."
    )


@functools.cache
def kind() -> str:
    """What must agree for a program to run here: versions of JAX and its compiler, and the CPU's instructions."""
    features = hashlib.sha256(_cpu().encode()).hexdigest()[:12]
    return f"{_KIND}{jax.__version__}-jaxlib-{jaxlib.__version__}-{platform.machine()}-{features}"


def _cpu() -> str:
    """The CPU's model and instruction sets, as far as the system tells them."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf8", errors="replace").splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    found = {line.split(":")[0].strip(): line for line in reversed(lines) if line.startswith(wanted)}
    return "\n".join(found[name] for name in sorted(found))


def entries(root: pathlib.Path, suffix: str = SUFFIX) -> Iterator[tuple[pathlib.Path, os.stat_result]]:
    """Every program of every kind below `root`."""
    for file in root.glob(f"{_KIND}*/*{suffix}"):
        try:
            yield file, file.stat()
        except OSError:  # another process has just removed it
            continue


def usage(root: pathlib.Path) -> Usage:
    """How much is kept below a folder that `place` gave."""
    sizes = [found.st_size for _, found in entries(root)]
    return Usage(len(sizes), sum(sizes))


def clear(root: pathlib.Path) -> Usage:
    """Remove the compiled programs below a folder that `place` gave, and nothing else there.

    **Returns:** what was removed. Processes that run now lose nothing but the time to compile again.
    """
    gone = usage(root)
    for suffix in (SUFFIX, WRITING):
        for file, _ in entries(root, suffix):
            file.unlink(missing_ok=True)
    return gone
