"""How far a run is: one live line on a terminal or in a notebook; plain lines, ten seconds apart, anywhere else."""

import abc
import importlib.util
import math
import os
import sys
import time as clock
from collections.abc import Callable
from typing import Any

_EVERY = 10.0  # seconds between plain lines
_REDRAW = 0.125  # seconds between two versions of a notebook's line


class AbstractDisplay(abc.ABC):
    """Where the line is shown."""

    @abc.abstractmethod
    def show(self, line: str, seconds: float) -> None:
        """In place of the line before it, this many seconds after the start."""

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """A message that stays."""

    @abc.abstractmethod
    def close(self) -> None:
        """Take the line away."""


class Nowhere(AbstractDisplay):
    """Says nothing."""

    def show(self, line: str, seconds: float) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(AbstractDisplay):
    """Plain lines on stderr: a log file, a pipe, a terminal that cannot move its cursor."""

    def __init__(self) -> None:
        self._shown, self._line = 0.0, ""

    def show(self, line: str, seconds: float) -> None:
        if seconds - self._shown >= _EVERY and line != self._line:
            self._shown, self._line = seconds, line
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class Terminal(AbstractDisplay):
    """A line of Rich's on stderr, redrawn in place and removed at the end."""

    def __init__(self) -> None:
        from rich.console import Console  # loaded only where there is something to draw
        from rich.live import Live

        self._live: Any = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)
        self._live.start()

    def show(self, line: str, seconds: float) -> None:
        from rich.text import Text

        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))

    def say(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


class Notebook(AbstractDisplay):
    """An output of the cell that is replaced as the run goes on, without widgets: every front end shows it."""

    def __init__(self) -> None:
        from IPython.display import display  # in a notebook there is one

        self._handle: Any = display({"text/plain": ""}, raw=True, display_id=True)
        self._drawn = -math.inf

    def show(self, line: str, seconds: float) -> None:
        if seconds - self._drawn >= _REDRAW:
            self._drawn = seconds
            self._handle.update({"text/plain": line}, raw=True)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        self._handle.update({"text/plain": ""}, raw=True)


def watched() -> type[AbstractDisplay] | None:
    """The display of a person who can watch a line move, None where nobody can."""
    # Without IPython loaded this is no notebook; with it, a kernel tells a notebook from IPython's own terminal.
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is not None:
        return Notebook
    moves = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    # The simulator runs where only JAX's family is installed: Rich may be missing there.
    return Terminal if moves and importlib.util.find_spec("rich") is not None else None


class Progress:
    """Shows how far a run is.

        with Progress(Lines) as progress:
            progress.update(time, t1, loss, steps, fraction)

    **Arguments:** `display`: made when there is first something to show; `after`: seconds before which nothing is, so
    that a quick run leaves no trace.
    """

    def __init__(self, display: Callable[[], AbstractDisplay], *, after: float = 0.0):
        self._make, self._after = display, after
        self._display: AbstractDisplay | None = None
        self._started = clock.monotonic()
        self._loss = math.nan  # the last one that was measured
        self._began, self._label = self._started, ""  # of the stage
        self._paced: tuple[float, float] | None = None  # seconds and fraction at its first update

    def __enter__(self) -> "Progress":
        self._started = self._began = clock.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None

    def _shown(self) -> AbstractDisplay:
        if self._display is None:
            self._display = self._make()
        return self._display

    def say(self, text: str) -> None:
        """A message above the live line."""
        self._shown().say(text)

    def doing(self, text: str, label: str = "") -> None:
        """A stage begins, `text` is the line until it is known how far it is. Its pace is that since its first update:
        what came before was also compiled.

        **Arguments:** `label`: what the lines of its updates begin with.
        """
        self._began, self._label, self._loss, self._paced = clock.monotonic(), label, math.nan, None
        self.show(lambda _: f"{text} …")

    def members(self, done: int, number: int) -> None:
        """Of an ensemble, `done` members of `number` have ended."""
        seconds = clock.monotonic() - self._began
        left = seconds * (number - done) / done if done else math.inf
        self.show(lambda _: f"{done} of {number} seeds  {100 * done / number:3.0f} %  {_left(left)}")

    def update(self, time: float, t1: float, loss: float, steps: int, fraction: float) -> None:
        """The run has reached `time` of `t1`; `fraction` of the work is done. A `loss` of NaN was not measured."""
        self._loss = self._loss if math.isnan(loss) else loss
        seconds = clock.monotonic() - self._began
        before, since = self._paced or (0.0, 0.0)
        self._paced = self._paced or (seconds, fraction)
        text = self.line(time, t1, self._loss, steps, fraction, seconds - before, since)
        self.show(lambda _: self._label + text)

    def show(self, line_after: Callable[[float], str]) -> None:
        """A line of one's own, made of the seconds since the start."""
        seconds = clock.monotonic() - self._started
        if seconds >= self._after:
            self._shown().show(line_after(seconds), seconds)

    @staticmethod
    def line(
        time: float, t1: float, loss: float, steps: int, fraction: float, seconds: float, since: float = 0.0
    ) -> str:
        """The line of one moment, `seconds` after the fraction `since` was reached."""
        left = seconds * (1 - fraction) / (fraction - since) if since < fraction <= 1 else math.inf
        shown = "—" if math.isnan(loss) else f"{loss:.3e}"
        return f"t = {time:.4g} of {t1:.4g}  loss {shown}  {steps} steps  {100 * fraction:3.0f} %  {_left(left)}"


def _left(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds > 360_000:
        return "time left unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"
