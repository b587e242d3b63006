"""How much memory there is."""

import math
import os
import pathlib

_CGROUP = pathlib.Path("/sys/fs/cgroup/memory.max")


def available() -> float:
    """Bytes of memory of this machine, or of this container if that is less."""
    if not hasattr(os, "sysconf"):
        return math.inf
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return float(min(physical, int(_CGROUP.read_text())))
    except (OSError, ValueError):
        return float(physical)
