"""The loop: chunk after chunk of one run, or of a batch of runs, until each has a status."""

import abc
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from .. import _tree
from ..records import Status
from .advance import advance, owned, start
from .carry import Carry
from .consumers import AbstractConsumer
from .history import History
from .march import Chunk, March
from .prepare import Prepared
from .timing import Stopwatch

Given = tuple[Carry, dict[str, np.ndarray], int]
"""What a chunk of steps gives: the carry at its end, the rows of saved probes, and how many of them are filled."""

T, S = TypeVar("T"), TypeVar("S")


class AbstractBackend(abc.ABC):
    """How chunks of steps are computed."""

    @abc.abstractmethod
    def begin(self, marches: Sequence[March]) -> None:
        """Give a carry to every march that is at its start."""

    @abc.abstractmethod
    def advance(self, marches: Sequence[March], running: Sequence[int]) -> Sequence[Given]:
        """A chunk of steps for each of the marches whose number is in `running`, in that order."""


class Alone(AbstractBackend):
    """Each run by itself, on its own steps."""

    def begin(self, marches: Sequence[March]) -> None:
        for march in marches:
            march.carry = start(march.plan) if march.carry is None else owned(march.plan, march.carry)

    def advance(self, marches: Sequence[March], running: Sequence[int]) -> Sequence[Given]:
        return [self._one(marches[i]) for i in running]

    def _one(self, march: March) -> Given:
        carry, rows, count = advance(march.plan, cast(Carry, march.carry), jnp.asarray(march.budget))
        return carry, _tree.on_host(rows), int(count)


def run(prepared: Prepared, *consumers: AbstractConsumer) -> History:
    """Integrate to the end, or to where a consumer stops the run.

    **Arguments:** `consumers`: called at the start and after every chunk, in this order. One may put what it stored of
    an interrupted run into the history before the first chunk: then the run is resumed, and takes the same steps to the
    last bit.

    **Returns:** the history, whose `status` says how the run ended.
    """
    return run_all([prepared], Alone(), consumers)[0]


def run_all(
    members: Sequence[Prepared],
    backend: AbstractBackend,
    consumers: Sequence[AbstractConsumer] = (),
    *,
    over: Callable[[Callable[[T], S], Iterable[T]], Iterable[S]] = map,
) -> list[History]:
    """`run` of several members, whose chunks the backend computes together.

    **Arguments:** `consumers`: take the chunks of all of them; `over`: `map`, perhaps on many threads, for what is done
    on the host for every member after a chunk.
    """
    watch, histories = Stopwatch(), [member.history() for member in members]
    for member, history in zip(members, histories, strict=True):
        for consumer in consumers:
            consumer.begin(member, history)
    marches = [member.march(history) for member, history in zip(members, histories, strict=True)]
    backend.begin(marches)

    def finish(item: tuple[int, Given]) -> None:
        number, (carry, rows, count) = item
        _hand_over(marches[number].accept(carry, rows, count), histories[number], consumers)

    try:
        while running := [i for i, history in enumerate(histories) if history.status is None]:
            for i in running:
                histories[i].turn()
            with _unbroken(any(marches[i].plan.in_place for i in running)):
                given = backend.advance(marches, running)
                for _ in over(finish, list(zip(running, given, strict=True))):
                    pass
    except KeyboardInterrupt:
        _stop(histories)
    compiling, computing = (seconds / len(members) for seconds in watch.read())
    for history in histories:
        history.seconds_compile += compiling
        history.seconds_run += computing
    return histories


@contextmanager
def _unbroken(needed: bool) -> Iterator[None]:
    """A section in which Ctrl-C waits: a chunk in place that is given up would leave nothing of the run.

    A second one does not wait.
    """
    here = threading.current_thread() is threading.main_thread()
    if not (needed and here and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield
        return
    asked: list[int] = []

    def wait(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


def _stop(histories: Sequence[History]) -> None:
    """After Ctrl-C: what was reached is the result.

    **Raises:** `KeyboardInterrupt` if nothing was, or if it was overwritten by a chunk that did not end.
    """
    for history in histories:
        if history.carry is None or any(getattr(x, "is_deleted", bool)() for x in jax.tree.leaves(history.carry.state)):
            raise KeyboardInterrupt
        if history.status is None:
            history.status = Status("interrupted", history.time, "stopped by Ctrl-C", "go on with result.extend(t1=…)")


def _hand_over(chunk: Chunk, history: History, consumers: Sequence[AbstractConsumer]) -> None:
    history.add(chunk)
    stops = [consumer.take(chunk, history) for consumer in consumers]
    if history.status is None:
        history.status = next((status for status in stops if status is not None), None)
