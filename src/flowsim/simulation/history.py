"""What the chunks of a run gave, each number once."""

import numpy as np

from ..records import Crossing, Status, Switch
from .carry import Carry
from .march import Chunk


class History:
    """Chunks, gathered: one array a probe, made when the first row comes, and the carry of the last chunk only.

    **Arguments:** `save_times`: how many; `solver`: the method that begins.

    A list of chunks would hold a whole state for each of them, and all rows twice when they are put together.
    """

    def __init__(self, save_times: int, solver: str):
        self._size, self._filled = save_times + 1, 0  # one more for the end of a run that is cut short
        self._columns: dict[str, np.ndarray] = {}
        self.number = 0
        self.carry: Carry | None = None
        self.status: Status | None = None
        self.crossings: list[Crossing] = []
        self.event_evaluations = 0
        self.solver = solver
        self.switches: list[Switch] = []
        self.seconds_compile = self.seconds_run = 0.0

    def add(self, chunk: Chunk) -> None:
        self.number += 1
        self.carry, self.status = chunk.carry, chunk.status
        if chunk.solver != self.solver:
            self.switches.append(Switch(chunk.reached, chunk.solver))
        self.solver = chunk.solver
        self.crossings.extend(chunk.crossings)
        self.event_evaluations += chunk.event_evaluations
        self.add_rows(chunk.times, chunk.rows)

    def add_rows(self, times: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        before, self._filled = self._filled, self._filled + len(times)
        for name, values in {"": times, **rows}.items():
            if name not in self._columns:
                self._columns[name] = np.empty((self._size, *values.shape[1:]), values.dtype)
            self._columns[name][before : self._filled] = values

    @property
    def time(self) -> float:
        """Where the run stands."""
        return 0.0 if self.carry is None else self.carry.clock.to_host()

    @property
    def times(self) -> np.ndarray:
        return self._columns[""][: self._filled]

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """Each probe at all saved times, shape (time, *axes)."""
        return {name: values[: self._filled] for name, values in self._columns.items() if name}
