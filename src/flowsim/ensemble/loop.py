"""Members one by one, as many at a time as there are cores."""

import concurrent.futures
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import jax

T = TypeVar("T")
S = TypeVar("S")


BESIDE = "flowsim-member"
"""What threads are called that run members, each of which has a log of its own."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[T], S], over: Sequence[T], *, workers: int | None = None) -> Iterator[S]:
    """`work` of each item, in order, on every core; a few more than there are threads are in memory at a time."""
    workers = workers or cores()
    yield work(over[0])  # compiles, once for all
    rest = iter(over[1:])
    with concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix=BESIDE) as pool:
        # XLA computes without the interpreter's lock, each run on the thread that started it.
        waiting = [pool.submit(work, item) for item in itertools.islice(rest, 4 * workers)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(work, item) for item in itertools.islice(rest, 1)]
        finally:
            for future in waiting:
                future.cancel()


def on_device(number: int):
    """A context in which new arrays are made on one of the local devices, in turn; nothing where there is only one."""
    devices = jax.local_devices()
    return contextlib.nullcontext() if len(devices) == 1 else jax.default_device(devices[number % len(devices)])
