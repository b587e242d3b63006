"""The run folder as a consumer of a run's chunks."""

from ..records import Status
from ..simulation import AbstractConsumer, Chunk, History, Prepared
from .segments import Identity, Segments


class Recorder(AbstractConsumer):
    """Keeps a run on the disk, chunk by chunk, and takes an interrupted one up again.

    **Arguments:** `fresh`: every run begins anew, as those of a `target_error` do, which follow each other.
    """

    def __init__(self, segments: Segments, identity: Identity, *, fresh: bool = False):
        self._segments, self._identity, self._fresh = segments, identity, fresh

    def begin(self, prepared: Prepared, history: History) -> None:
        if self._fresh:
            self._segments.remove()
            self._segments.create()
        self._segments.restore(prepared.methods, self._identity, history)

    def take(self, chunk: Chunk, history: History) -> Status | None:
        self._segments.append(history.number - 1, chunk, self._identity)
