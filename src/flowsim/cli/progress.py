"""One live line on a terminal; plain lines, ten seconds apart, anywhere else."""

import contextlib
import logging
import math
import os
import sys
import time as clock
from collections.abc import Callable, Iterator
from typing import Any

from ..config.problems import printable

_EVERY = 10.0  # seconds between plain lines


class Progress:
    """Shows how far a run is, on stderr, with what it says between.

        with Progress(quiet=False) as progress:
            progress.update(time, t1, loss, steps, fraction)

    On a terminal the line is redrawn in place, and removed at the end.
    """

    def __init__(self, *, quiet: bool = False):
        self._quiet = quiet
        self._live = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._started = clock.monotonic()
        self._shown = self._started
        self._display: Any = None
        self._loss = math.nan  # the last one that was measured

    def __enter__(self) -> "Progress":
        if self._live:
            from rich.console import Console  # loaded only where there is something to draw
            from rich.live import Live

            self._display = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def say(self, text: str) -> None:
        """A message above the live line."""
        if self._quiet:
            return
        if self._display is not None:
            self._display.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def telling(self, *, verbose: bool) -> Iterator[None]:
        """While the block runs, warnings of the log are shown too, and with `verbose` all that `log.txt` gets."""
        log, handler = logging.getLogger("flowsim"), _Told(self, logging.INFO if verbose else logging.WARNING)
        log.addHandler(handler)
        try:
            yield
        finally:
            log.removeHandler(handler)

    def members(self, done: int, number: int) -> None:
        """Of an ensemble, `done` members of `number` have ended."""

        def line(seconds: float) -> str:
            left = seconds * (number - done) / done if done else math.inf
            return f"{done} of {number} seeds  {100 * done / number:3.0f} %  {_left(left)}"

        self.show(line)

    def update(self, time: float, t1: float, loss: float, steps: int, fraction: float) -> None:
        """The run has reached `time` of `t1`; `fraction` of the work is done. A `loss` of NaN was not measured."""
        self._loss = self._loss if math.isnan(loss) else loss
        self.show(lambda seconds: self.line(time, t1, self._loss, steps, fraction, seconds))

    def show(self, line_after: Callable[[float], str]) -> None:
        """A line of one's own, made of the seconds since the start."""
        if self._quiet:
            return
        line = line_after(clock.monotonic() - self._started)
        if self._display is not None:
            from rich.text import Text

            self._display.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif clock.monotonic() - self._shown >= _EVERY:
            self._shown = clock.monotonic()
            print(line, file=sys.stderr, flush=True)

    @staticmethod
    def line(time: float, t1: float, loss: float, steps: int, fraction: float, seconds: float) -> str:
        """The line of one moment."""
        left = seconds * (1 - fraction) / fraction if 0 < fraction <= 1 else math.inf
        shown = "—" if math.isnan(loss) else f"{loss:.3e}"
        return f"t = {time:.4g} of {t1:.4g}  loss {shown}  {steps} steps  {100 * fraction:3.0f} %  {_left(left)}"


class _Told(logging.Handler):
    def __init__(self, progress: Progress, level: int):
        logging.Handler.__init__(self, level)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.say(printable(record.getMessage()))


def _left(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds > 360_000:
        return "time left unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"
