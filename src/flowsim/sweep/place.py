"""Where members run: the interface of the three places."""

import abc
from collections.abc import Sequence

from .ended import Ended


class PlaceError(Exception):
    """A place that cannot be used; the message says why and what to do."""


class AbstractPlace(abc.ABC):
    """A place takes members of one sweep and runs them.

    `detached`: it goes on without this process, and is watched through the folder alone.
    """

    detached: bool = False

    @abc.abstractmethod
    def submit(self, members: Sequence[str], seconds: float | None = None) -> None:
        """Take members by their ids. **Arguments:** `seconds`: what one takes, if known. **Raises:** `PlaceError`."""

    @abc.abstractmethod
    def poll(self, seconds: float) -> list[Ended]:
        """What has ended since the last call; waits for something, for `seconds` at most. **Raises:** `PlaceError`."""

    @abc.abstractmethod
    def active(self) -> int:
        """Members taken that have not ended."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Stop all where nothing is lost, and return when they have stopped."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of processes and connections."""
