"""Telling JAX to keep compiled programs."""

import logging
import os
import pathlib

import jax

from .place import opened, place
from .programs import SIZE, Programs

_ours: dict[str, Programs] = {}
_LIMITS = {  # JAX's defaults leave out what takes less than a second: most of a run's programs
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def enable(path: str | os.PathLike[str] | None = None, *, size: int = SIZE) -> pathlib.Path | None:
    """Keep compiled programs on disk from here on, and read them from there.

    Call it before the first simulation: what was compiled earlier in this process is not kept. A folder that JAX was
    told already (`JAX_COMPILATION_CACHE_DIR`, `jax_compilation_cache_dir`) is left as it is, with JAX's own rules.

    **Arguments:** both may be left alone. `path`: a folder of yours, by default that of the platform for caches
    (`~/.cache/flowsim` on Linux). `size`: bytes that it may take; the least recently used programs go first.

    **Returns:** the folder in use; None if `FLOWSIM_CACHE=0` says that there is to be none.

    **Raises:** `ValueError` for a size that is not positive; `PermissionError` if the folder belongs to another user,
    whose programs would run here; `OSError` if it cannot be made.
    """
    if not size > 0:
        raise ValueError(f"size must be > 0 bytes, got {size}.")
    before = jax.config.jax_compilation_cache_dir
    if before is not None and before not in _ours:
        return pathlib.Path(before)
    root = place(path)
    if root is None:
        return None
    folder = opened(root)
    _tell_jax(folder, Programs(folder, size))
    return folder


def enable_quietly() -> None:
    """`enable` for the command line: a run goes on where programs cannot be kept. `flowsim doctor` tells why."""
    try:
        enable()
    except OSError as error:
        logging.getLogger("flowsim").info("compiled programs are not kept: %s", error)


def _tell_jax(folder: pathlib.Path, programs: Programs) -> None:
    # JAX has no public way to give it a store; where this one is gone, its own store is used.
    from jax._src import compilation_cache

    if not _ours and hasattr(compilation_cache, "get_file_cache"):
        theirs = compilation_cache.get_file_cache
        compilation_cache.get_file_cache = lambda path: (_ours[path], path) if path in _ours else theirs(path)
    _ours[str(folder)] = programs
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _LIMITS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
