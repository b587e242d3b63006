"""Who takes the chunks of a run as they come."""

import abc
import math
import time
from collections.abc import Callable

from .. import _checks, distributed
from ..records import Status
from .history import History
from .march import Chunk
from .prepare import Prepared


class AbstractConsumer(abc.ABC):
    """Takes the chunks of a run: a run folder, a progress bar, an optimizer beside the flow, a time limit."""

    @abc.abstractmethod
    def begin(self, prepared: Prepared, history: History) -> None:
        """Before the first chunk. A consumer that stored an interrupted run puts it into the history here."""

    @abc.abstractmethod
    def take(self, chunk: Chunk, history: History) -> Status | None:
        """After every chunk, which is in the history by now. A status ends the run there, after all consumers."""


class ForEach(AbstractConsumer):
    """Calls a function with every chunk."""

    def __init__(self, function: Callable[[Chunk], object]):
        self._function = function

    def begin(self, prepared: Prepared, history: History) -> None:
        pass

    def take(self, chunk: Chunk, history: History) -> Status | None:
        self._function(chunk)


class Follow(AbstractConsumer):
    """Tells a function how far the run is: `(time, t1, loss, steps, fraction)`, a loss of NaN where none was saved."""

    def __init__(self, function: Callable[[float, float, float, int, float], object]):
        self._function = function
        self._t1, self._saves = 0.0, 1

    def begin(self, prepared: Prepared, history: History) -> None:
        self._t1, self._saves = prepared.settings.t1, len(prepared.save_times)

    def take(self, chunk: Chunk, history: History) -> Status | None:
        now, carry = chunk.reached, chunk.carry
        loss = float(chunk.rows["loss"][-1]) if len(chunk.times) and "loss" in chunk.rows else math.nan
        fraction = max(int(carry.saved) / self._saves, now / self._t1)
        self._function(now, self._t1, loss, int(carry.steps), fraction)


class TakeUp(AbstractConsumer):
    """Makes a longer run of a shorter one: it goes on from before the step that the shorter one's end cut off."""

    def __init__(self, earlier: History):
        self._earlier = earlier

    def begin(self, prepared: Prepared, history: History) -> None:
        history.take_up(self._earlier)

    def take(self, chunk: Chunk, history: History) -> Status | None:
        pass


class TimeLimit(AbstractConsumer):
    """Ends the run with status `interrupted` after the first chunk that ends later than `seconds` of wall time."""

    def __init__(self, seconds: float):
        if not _checks.real("max_seconds", seconds) > 0:
            raise ValueError(f"max_seconds must be > 0, got {seconds}.")
        self._seconds, self._began = seconds, time.monotonic()

    def begin(self, prepared: Prepared, history: History) -> None:
        self._began = time.monotonic()

    def take(self, chunk: Chunk, history: History) -> Status | None:
        passed = distributed.largest(time.monotonic() - self._began)
        if passed < self._seconds:
            return None
        return Status(
            "interrupted", chunk.reached, f"{self._seconds:g} seconds have passed", "raise max_seconds, or extend it"
        )
