"""Many runs to their ends, together: the host reads a few numbers a chunk, and whole arrays at the end."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .advance import FIRST_LOOK
from .carry import Code
from .lanes import Lanes, close, going, proceed_all, start, stiffness, stops, taken
from .looks import guess, looked, settle, solve
from .prepare import Prepared
from .roughness import too_slow
from .stacked import Stacked
from .stiff import CHECK
from .stiffness import worth_leaving
from .timing import Stopwatch

_WAITING = 0.125  # share of the runs that move beyond which those that wait for a look are looked at
_FEW, _SMALLEST = 8, 64  # a batch of which only one in so many still runs is made smaller, if it is not that small
_PATIENCE = 200  # passes before that is worth compiling for


@dataclasses.dataclass(frozen=True)
class Crossings:
    """Crossings of many runs, a row for each, in order of run and time.

    **Fields:** `run`, `event`: numbers; `scalars`, `records`: what was measured there.
    """

    run: np.ndarray
    event: np.ndarray
    time: np.ndarray
    direction: np.ndarray
    slope: np.ndarray
    noise: np.ndarray
    scalars: dict[str, np.ndarray]
    records: dict[int, dict[str, np.ndarray]]

    def of(self, run: int) -> slice:
        """The rows of a run."""
        return slice(*np.searchsorted(self.run, (run, run + 1)))


@dataclasses.dataclass(frozen=True)
class Together:
    """What runs gave that were integrated together, each array with an axis of runs in front.

    **Fields:** `rows`: probe -> (runs, save times, …), of which a run's first `count` are filled, the last of them at
    `time`, where it ended; `numbers`: name -> of every run, as `lanes.close` has them; `event_evaluations`: spent on
    event times; `ends`: parameters, on the device; `alone`: runs to be run by themselves, of whose rows nothing counts;
    `trips`: how often the host waited for the device.
    """

    stacked: Stacked
    rows: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    count: np.ndarray
    time: np.ndarray
    crossings: Crossings
    event_evaluations: np.ndarray
    ends: PyTree
    alone: np.ndarray
    trips: int
    seconds_compile: float
    seconds_run: float


def together(prepared: Prepared, stacked: Stacked, runs: int) -> Together:
    """Integrate many runs to their ends.

    Taken out, to be run alone, are those that end in another way than at their end or a terminal event, those whose
    steps stability sizes where a method for stiff flows could pay, and those with an event that needs a closer look.

    **Arguments:** `prepared`: one of them, for the settings that all share; `runs`: how many there are; what is stacked
    beyond them are idle copies.
    """
    return _Batch(prepared, stacked, runs).run()


class _Batch:
    """The host's side."""

    def __init__(self, prepared: Prepared, stacked: Stacked, runs: int):
        self._prepared, self._whole, self._stacked, self._runs = prepared, stacked, stacked, runs
        self._limit = jnp.asarray(prepared.settings.max_steps)
        self._places = np.arange(stacked.count)  # of the lanes, among all runs
        self._found: list[dict[str, Any]] = []
        self._closed: list[tuple[np.ndarray, Any, Any, PyTree]] = []
        self._spent = np.zeros(stacked.count, int)
        self._trips = self._passes = 0

    def run(self) -> Together:
        watch = Stopwatch()
        lanes = start(self._stacked, jnp.asarray(self._places >= self._runs))
        window, stiff = FIRST_LOOK, bool(self._prepared.stiff)
        least = jnp.asarray(worth_leaving(jax.default_backend()))
        while True:
            passes = window if stiff else min(self._prepared.chunk_steps, CHECK)
            lanes, counts = proceed_all(self._stacked, lanes, jnp.asarray(passes), self._limit)
            moving, waiting = map(int, self._read(counts))
            self._passes += passes
            if lanes.queue and (moving == 0 or waiting > _WAITING * moving):
                lanes = self._look(lanes)
            if moving == 0 and (waiting == 0 or not self._moves(lanes)):
                break
            if stiff:
                lanes = stiffness(self._stacked, lanes, least)
                window = min(window * 3 // 2, CHECK)
            lanes = self._without_slides(lanes)
            if moving + waiting <= self._stacked.count // _FEW and self._passes >= _PATIENCE:
                lanes = self._smaller(lanes)
        self._close(lanes, np.arange(self._stacked.count))
        return self._gathered(*watch.read())

    def _read(self, tree: Any) -> Any:
        self._trips += 1
        return jax.device_get(tree)

    def _moves(self, lanes: Lanes) -> bool:
        return bool(np.any(self._read(going(lanes, self._limit))))

    def _look(self, lanes: Lanes) -> Lanes:
        """Look into all steps that wait for it."""
        hard, filled = jnp.zeros_like(lanes.out), self._read(lanes.filled)
        for k, place in enumerate(lanes.queue[: int(np.max(filled, initial=0))]):
            guesses = guess(self._stacked, place, (lanes.filled > k) & ~lanes.out & ~hard)
            number, unclear, spent = self._read((guesses.number, guesses.hard, guesses.spent))
            self._spent[self._places] += spent
            hard = hard | guesses.hard
            for j in range(int(np.max(number[~unclear], initial=0))):
                solved = solve(self._stacked, place, guesses, jnp.asarray(j))
                hard = hard | solved.failed
                if stops(self._stacked.shared):
                    lanes = settle(self._stacked, lanes, solved)
                self._note(solved)
        return looked(lanes, hard)

    def _note(self, solved: Any) -> None:
        """Keep the crossings that were found, as rows of a table."""
        names = ("valid", "event", "clock", "direction", "slope", "noise", "scalars", "records", "spent")
        own = self._read({name: getattr(solved, name) for name in names})
        self._spent[self._places] += own.pop("spent")
        valid = own.pop("valid")
        clock = own.pop("clock")
        own["time"] = np.asarray(clock.high, np.float64) + np.asarray(clock.low, np.float64)
        self._found.append(jax.tree.map(lambda x: x[valid], own | {"run": self._places}))

    def _without_slides(self, lanes: Lanes) -> Lanes:
        """Without the runs that meet one kink after another."""
        if self._passes < CHECK or not self._read(jnp.any(lanes.carry.roughness.kinks > 0)):
            return lanes
        carry, rough, end = lanes.carry, lanes.carry.roughness, self._prepared.plan.end.to_host()
        kinks, tries, low, now, mark = self._read((
            rough.kinks, carry.steps + carry.rejected, rough.low_tries - rough.mark_low,
            carry.clock.high + carry.clock.low, rough.mark_time,
        ))  # fmt: skip
        slow = (kinks > 0) & too_slow(tries, low, now, mark, end, self._prepared.settings.max_steps - tries)
        return looked_out(lanes, slow) if np.any(slow) else lanes

    def _smaller(self, lanes: Lanes) -> Lanes:
        """Only the lanes that still run, filled up to an eighth."""
        running = self._read(going(lanes, self._limit))
        size = self._stacked.count // _FEW
        if np.sum(running) > size or size < _SMALLEST // _FEW or not np.any(running):
            return lanes
        self._close(lanes, np.flatnonzero(~running))
        kept = np.flatnonzero(running)
        idle = size - len(kept)
        places = np.append(kept, np.full(idle, kept[0]))
        self._stacked, self._passes = self._stacked.take(places), 0
        self._places = np.append(self._places[kept], np.full(idle, self._whole.count))  # beyond the last
        self._spent = np.append(self._spent, 0) if len(self._spent) == self._whole.count else self._spent
        lanes = taken(lanes, jnp.asarray(places))
        return looked_out(lanes, np.arange(size) >= len(kept))

    def _close(self, lanes: Lanes, places: np.ndarray) -> None:
        """Take in the runs that have ended."""
        found = (*self._read(close(self._stacked, lanes)), self._parameters(lanes))
        places = places[self._places[places] < self._runs]
        if len(places) < self._stacked.count:
            found = (*jax.tree.map(lambda x: x[places], found[:2]), taken(found[2], jnp.asarray(places)))
        self._closed.append((self._places[places], *found))

    def _parameters(self, lanes: Lanes) -> PyTree:
        return jax.vmap(self._stacked.shared.flow.parameters)(lanes.carry.state.flow)

    def _gathered(self, compiling: float, computing: float) -> Together:
        (_, rows, numbers, ends), *others = self._closed
        if others:
            order = np.argsort(np.concatenate([places for places, *_ in self._closed]))
            host = [piece[1:3] for piece in self._closed]
            rows, numbers = jax.tree.map(lambda *xs: np.concatenate(xs)[order], *host)
            pieces = jax.tree.map(lambda *xs: jnp.concatenate(xs), *(piece[3] for piece in self._closed))
            ends = taken(pieces, jnp.asarray(order))
        times, saved = self._prepared.save_times, numbers["saved"]
        time = np.asarray(numbers["high"], np.float64) + np.asarray(numbers["low"], np.float64)
        time = np.where(numbers["code"] == Code.DONE, self._prepared.plan.end.to_host(), time)
        count = saved + (times[np.maximum(saved - 1, 0)] < time)
        finite = np.all(np.isfinite(rows["loss"]), axis=1) if "loss" in rows else np.isfinite(numbers["risk"])
        alone = numbers["out"] | ~np.isin(numbers["code"], (Code.DONE, Code.EVENT)) | ~finite
        crossings = _in_order(self._found, self._prepared, numbers["code"], time, alone)
        return Together(
            self._whole, rows, numbers, count, time, crossings, self._spent[: self._runs], ends, alone, self._trips,
            compiling, computing,
        )  # fmt: skip


def looked_out(lanes: Lanes, out: np.ndarray) -> Lanes:
    """Without some of the runs."""
    return dataclasses.replace(lanes, out=lanes.out | jnp.asarray(out))


def _in_order(found: list[dict[str, Any]], prepared: Prepared, code, time, alone) -> Crossings:
    """The table of crossings: of every run in order of time, and of one that a crossing ended no later ones."""
    if not found:
        none = np.zeros(0, int)
        return Crossings(none, none, np.zeros(0), none, np.zeros(0), np.zeros(0), {}, {})
    table = jax.tree.map(lambda *xs: np.concatenate(xs), *found)
    instant = 1 + 64 * np.finfo(np.dtype(prepared.plan.end.high.dtype)).eps  # simultaneous, as far as time is resolved
    run = table["run"]
    kept = (run < len(code)) & ~alone[np.minimum(run, len(code) - 1)]
    ended = code[np.minimum(run, len(code) - 1)] == Code.EVENT
    kept &= ~ended | (table["time"] <= time[np.minimum(run, len(code) - 1)] * instant)
    table = jax.tree.map(lambda x: x[kept], table)
    order = np.lexsort((table["time"], table["run"]))
    return Crossings(**jax.tree.map(lambda x: x[order], table))
