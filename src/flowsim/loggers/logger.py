"""What a logger is, and how a run calls it."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from ..simulation import Chunk


@runtime_checkable
class Logger(Protocol):
    """Takes the scalar probes of a saved time. It is called in order of time, after the chunk that holds the time."""

    def __call__(self, time: float, values: Mapping[str, float]) -> object: ...


def each_row(*loggers: Logger) -> Callable[[Chunk], None]:
    """A function for `simulate(progress=…)` that tells the loggers of every saved time of every chunk.

    A probe with axes is not a scalar and is left out.
    """

    def told(chunk: Chunk) -> None:
        scalars = {name: rows for name, rows in chunk.rows.items() if rows.ndim == 1}
        for index, time in enumerate(chunk.times.tolist()):
            values = {name: float(rows[index]) for name, rows in scalars.items()}
            for logger in loggers:
                logger(time, values)

    return told
