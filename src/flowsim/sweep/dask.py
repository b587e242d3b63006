"""Dask: any scheduler, or a cluster of processes on this machine.

A Dask worker starts one warm process for each of its threads, and members run there as they do on this machine: a
member that crashes does not take the Dask worker with it.
"""

import concurrent.futures
import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .ended import FAILED, INTERRUPTED, Ended
from .folder import Sweep
from .local import Local
from .place import AbstractPlace, PlaceError

T = TypeVar("T")
_ANSWERS = 15.0  # seconds that a scheduler may take to answer
_RETRIES = 3  # of a member whose Dask worker died
_MANY = 1000  # tasks handed over at once


class Dask(AbstractPlace):
    """Runs members as tasks of a Dask scheduler.

    **Arguments:** `address`: as `tcp://host:8786`; None for `jobs` processes on this machine.
    """

    def __init__(self, sweep: Sweep, address: str | None, jobs: int | None):
        try:
            import distributed  # an extra
        except ImportError:
            raise PlaceError("Dask is not installed: python -m pip install 'flowsim[dask]'") from None
        self._path = str(sweep.path.resolve())
        self._distributed: Any = distributed
        self._cluster = None if address else _cluster(distributed, jobs)
        try:
            self._client = _within(2 * _ANSWERS, lambda: distributed.Client(address or self._cluster, timeout=_ANSWERS))
            workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except Exception as error:  # whatever a peer that is no scheduler makes distributed raise, MemoryError included
            said = str(error).rstrip(".") or type(error).__name__
            raise PlaceError(f"the Dask scheduler {address or 'of this machine'} does not answer: {said}") from None
        if address and not workers:
            self._client.close()
            raise PlaceError(f"the Dask scheduler {address} has no workers: start some with `dask worker {address}`")
        self._futures: dict[Any, str] = {}

    def submit(self, members: Sequence[str], seconds: float | None = None) -> None:
        for start in range(0, len(members), _MANY):
            part = list(members[start : start + _MANY])
            futures = self._client.map(
                run_there, part, folder=self._path, pure=False, retries=_RETRIES, key=[f"{m}-{id(part)}" for m in part]
            )
            self._futures |= dict(zip(futures, part, strict=True))

    def active(self) -> int:
        return len(self._futures)

    def poll(self, seconds: float) -> list[Ended]:
        until = time.monotonic() + seconds
        while not (over := [future for future in self._futures if future.done()]):
            if self._client.status not in ("running", "connecting"):
                raise PlaceError("the Dask scheduler answers no more")
            if time.monotonic() >= until:
                return []
            time.sleep(min(0.02, seconds))
        return [self._ended(future, self._futures.pop(future)) for future in over]

    def cancel(self) -> None:
        with contextlib.suppress(Exception):  # of whatever kind a scheduler that is gone raises
            self._client.cancel(list(self._futures), force=True)
            self._client.run(stop_here, self._path)
        self._futures = {}

    def close(self) -> None:
        with contextlib.suppress(Exception):  # as above
            self._client.run(close_here, self._path)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _ended(self, future: Any, member: str) -> Ended:
        if future.status == "finished":
            return Ended.of_line(future.result())
        if future.status == "cancelled":
            return Ended(member, INTERRUPTED, "the Dask scheduler has let it go")
        return Ended(member, FAILED, f"Dask: {future.exception()}")


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, in a thread that is left behind if it takes longer: distributed's own limit is of the
    connection alone, and a peer that takes it and says nothing would keep us forever.

    **Raises:** `TimeoutError`; whatever `work` raises.
    """
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.result(seconds)
    except concurrent.futures.TimeoutError:
        raise TimeoutError(f"it says nothing within {seconds:g} s") from None


def _cluster(distributed: Any, jobs: int | None) -> Any:
    return distributed.LocalCluster(
        n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )


_places: dict[tuple[str, int], Local] = {}
_changing = threading.Lock()


def run_there(member: str, folder: str) -> str:
    """What a Dask worker does: run one member in the warm process of this thread. Returns `Ended.line()`."""
    key = (folder, threading.get_ident())
    with _changing:
        place = _places.get(key)
        if place is None:
            place = _places[key] = Local(Sweep(pathlib.Path(folder), [], {}), 1, pin=False)
    place.submit([member])
    while place.active():
        for ended in place.poll(0.5):
            return ended.line()
    return Ended(member, INTERRUPTED).line()


def stop_here(folder: str) -> None:
    """On a Dask worker: stop its warm processes of a sweep where nothing is lost."""
    for key in [key for key in _places if key[0] == folder]:
        _places[key].stop()  # the thread that waits for them goes on waiting until they have stopped


def close_here(folder: str) -> None:
    """On a Dask worker: end its warm processes of a sweep."""
    with _changing:
        for key in [key for key in _places if key[0] == folder]:
            _places.pop(key).close()
