"""A bound on what compiled programs hold.

Every program that XLA compiles on a CPU maps some 60 regions of memory of its own, and JAX keeps all programs. Linux
allows a process 65 530 maps by default; past them LLVM fails with "Cannot allocate memory". A session that simulates
problem after problem of new shapes would come there after a few hundred.
"""

import gc
import logging
import os
import pathlib
import threading

import jax
import jax.monitoring

MAPS = 12_000  # beyond which programs are dropped: some 60 problems of new shapes, about 1 GB
_CHECK = 32  # programs compiled between two counts: counting takes milliseconds
_OWN, _ALLOWED = pathlib.Path("/proc/self/maps"), pathlib.Path("/proc/sys/vm/max_map_count")
_PROGRAMS = 1000  # the bound where the system does not tell its maps
_process: int | None = None  # the one that has computed
_compiled = 0  # since programs were dropped
_counted = 0  # of them, when maps were last counted


def _listen(event: str, duration: float, **_: str | int) -> None:
    global _compiled
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled += 1


jax.monitoring.register_event_duration_secs_listener(_listen)  # pyright: ignore[reportArgumentType]


def refuse_fork() -> None:
    """Note that this process computes. JAX's threads do not survive a fork: in a child any computation waits for ever.

    **Raises:** `RuntimeError` in a process that was forked from one that has computed.
    """
    global _process
    if _process not in (None, os.getpid()):
        raise RuntimeError(
            "this process was forked from one that has computed, and JAX does not survive a fork: start workers by "
            "spawn, multiprocessing.get_context('spawn'), or before anything is computed."
        )
    _process = os.getpid()


def make_room() -> bool:
    """Drop all compiled programs if they hold too much; they are compiled again, or read from the disk, when needed.

    Called before a simulation is prepared. In the main thread only: members of an ensemble on other threads share the
    shapes, and so the programs, of the first.

    **Returns:** whether they were dropped.
    """
    global _compiled, _counted
    if _compiled - _counted < _CHECK or threading.current_thread() is not threading.main_thread():
        return False
    _counted = _compiled
    held = maps()
    if _compiled < _PROGRAMS if held is None else held < limit():
        return False
    logging.getLogger("flowsim").info("%d compiled programs are dropped: the process holds %s maps", _compiled, held)
    jax.clear_caches()
    gc.collect()
    _compiled = _counted = 0
    return True


def maps() -> int | None:
    """Regions of memory that this process has mapped, None where the system does not tell."""
    try:
        return _OWN.read_bytes().count(b"\n")
    except OSError:
        return None


def limit() -> int:
    """Maps beyond which programs are dropped: `MAPS`, or half of what the system allows if that is less."""
    try:
        return min(MAPS, int(_ALLOWED.read_text()) // 2)
    except (OSError, ValueError):
        return MAPS
