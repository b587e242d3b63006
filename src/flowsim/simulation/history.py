"""What the chunks of a run gave, each number once."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..records import Crossing, Status, Switch
from .carry import Carry, Code
from .march import Chunk


@dataclasses.dataclass(frozen=True)
class Mark:
    """Where a history stood before its last chunk, or stands while the next is computed: from there a longer
    run takes the steps of one run. A run whose chunks are computed in place goes on from its end.

    **Fields:** `carry`, `solver`: of the loop, None for a run whose first chunk was its last; the others count what the
    history held.
    """

    carry: Carry | None
    solver: str
    number: int
    rows: int
    crossings: int
    switches: int
    event_evaluations: int


class History:
    """Chunks, gathered: one array a probe, made when the first row comes, and the carry of the last chunk only.

    **Arguments:** `save_times`: how many; `solver`: the method that begins; `keep_rows`: false where a consumer has
    what it needs of them; `in_place`: is the state before a chunk overwritten by it?

    A list of chunks would hold a whole state for each of them, and all rows twice when they are put together.
    """

    def __init__(self, save_times: int, solver: str, *, keep_rows: bool = True, in_place: bool = False):
        self._size, self._filled = save_times + 1, 0  # one more for the end of a run that is cut short
        self._keep_rows, self._in_place = keep_rows, in_place
        self._columns: dict[str, np.ndarray] = {}
        self.number = 0
        self.carry: Carry | None = None
        self.status: Status | None = None
        self.crossings: list[Crossing] = []
        self.event_evaluations = 0
        self.solver = solver
        self.switches: list[Switch] = []
        self.seconds_compile = self.seconds_run = 0.0
        self.last = self.mark()

    def mark(self) -> Mark:
        """Where the history stands now."""
        counts = (self.number, self._filled, len(self.crossings), len(self.switches), self.event_evaluations)
        return Mark(self.carry, self.solver, *counts)

    def take_up(self, earlier: "History") -> None:
        """Go on from where another history stood before its last chunk, in place of the nothing that this one holds."""
        mark = earlier.last
        self.number, self.carry, self.solver = mark.number, mark.carry, mark.solver
        self.crossings, self.switches = earlier.crossings[: mark.crossings], earlier.switches[: mark.switches]
        self.event_evaluations = mark.event_evaluations
        self.seconds_compile, self.seconds_run = earlier.seconds_compile, earlier.seconds_run
        self.last = self.mark()
        if mark.rows:
            self.add_rows(earlier.times[: mark.rows], {name: rows[: mark.rows] for name, rows in earlier.rows.items()})

    def turn(self) -> None:
        """Another chunk is about to be computed: where the one before began, which is a whole state, is forgotten."""
        if not self._in_place:
            self.last = self.mark()

    def add(self, chunk: Chunk) -> None:
        self.turn()
        self.number += 1
        self.carry, self.status = chunk.carry, chunk.status
        if chunk.solver != self.solver:
            self.switches.append(Switch(chunk.reached, chunk.solver))
        self.solver = chunk.solver
        self.crossings.extend(chunk.crossings)
        self.event_evaluations += chunk.event_evaluations
        if self._keep_rows:
            self.add_rows(chunk.times, chunk.rows)
        if self._in_place and self.carry is not None:
            running = jnp.asarray(Code.RUNNING, self.carry.code.dtype)
            self.last = dataclasses.replace(self.mark(), carry=eqx.tree_at(lambda c: c.code, self.carry, running))

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
