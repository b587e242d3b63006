"""How much memory there is."""

import math
import os
import pathlib

_CGROUP = pathlib.Path("/sys/fs/cgroup/memory.max")
_bounds = [math.inf]


def for_arrays() -> float:
    """Bytes of memory where JAX puts arrays: the accelerator's, or this machine's."""
    import jax  # kept out of what only asks for the machine's

    return float((jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", available()))


def available() -> float:
    """Bytes of memory of this machine, or of this container if that is less."""
    return min(_bounds[-1], _here())


def bound(memory: float) -> None:
    """Have no more than so many bytes from now on: those of the smallest of the machines that compute together."""
    _bounds.append(memory)


def _here() -> float:
    if not hasattr(os, "sysconf"):
        return math.inf
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return float(min(physical, int(_CGROUP.read_text())))
    except (OSError, ValueError):
        return float(physical)
