"""A line of the accelerator's table (`benchmarks/gpu.py`), and how its seconds are taken."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax


class Row(NamedTuple):
    """One line of the table; None where nothing is measured."""

    work: str
    bare: float | None = None  # seconds of bare Diffrax, Tsit5, compiled
    ours: float | None = None
    first: float | None = None  # flowsim's first call, with compilation
    note: str = ""
    holds: bool = True  # false: measured, and not what is promised


HEAD = "| work | bare Diffrax, s | flowsim, s | ratio | first call, s | |\n|---|---|---|---|---|---|"


def line(row: Row) -> str:
    """A row of the table, as Markdown."""

    def seconds(value: float | None) -> str:
        return "–" if value is None else f"{value:.3g}"

    ratio = "–" if row.bare is None or row.ours is None else f"{row.ours / row.bare:.2g}"
    return (
        "| " + " | ".join((row.work, seconds(row.bare), seconds(row.ours), ratio, seconds(row.first), row.note)) + " |"
    )


def wrong(rows: Sequence[Row]) -> list[str]:
    """What of the table failed, or is not what is promised: a line for each."""
    failed = [f"FAILED: {row.work}: {row.note}" for row in rows if row.note.startswith("failed")]
    return failed + [f"DOES NOT HOLD: {row.work}: {row.note}" for row in rows if not row.holds]


def timed(work: Callable[[], Any], repeats: int = 2) -> tuple[float, float, Any]:
    """Seconds of the first call, of the best later one, if there is one, and what it gave."""
    seconds, value = [], None
    for _ in range(1 + repeats):
        began = time.perf_counter()
        value = jax.block_until_ready(work())
        seconds.append(time.perf_counter() - began)
    return seconds[0], min(seconds[1:] or seconds), value
