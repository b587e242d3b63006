"""`flowsim status`: what has become of the members of a sweep."""

import pathlib
import sys
import time
from typing import Annotated, Any

import typer

from ..sweep import States, Sweep, SweepError
from ..sweep.expand import documented
from ..sweep.look import look
from .command import command
from .output import Output

_ROWS = 20  # members in a table; --json has all
_EVERY = 2.0  # seconds between looks
_FIRST = ("failed", "lost", "running", "waiting", "done")  # what a person wants to see first


@command
def status(
    output: Output,
    folder: Annotated[pathlib.Path, typer.Argument(metavar="DIR", help="The folder of a sweep.")],
    once: Annotated[bool, typer.Option("--once", help="Do not keep watching, on a terminal.")] = False,
) -> None:
    """Count the members of a sweep that are done, running, waiting, failed or lost, with the time left.

    A lost member's process is gone: `flowsim sweep --resume DIR` runs it again from its last checkpoint. On a terminal
    the table is live until nothing runs; Ctrl-C leaves it.

    \b
    Example:
      flowsim status sweeps/figure1
    """
    try:
        sweep = Sweep.read(folder)
    except SweepError as error:
        output.refuse(f"{error}.")
    now, remark = look(sweep)
    if not (output.json or once) and sys.stdout.isatty() and now.counts["running"]:
        now, remark = _watch(sweep)
    if remark:
        output.say(f"{remark}: the states are those of the folders alone.")
    output.data(table(now))
    output.document(record(now))


def record(now: States) -> dict[str, Any]:
    """For `--json`."""
    members = [
        {"member": one.member.id, "values": one.member.values, "status": one.state, "reason": one.reason}
        for one in now.members
    ]
    times = {"seconds_per_member": now.seconds, "seconds_left": now.seconds_left}
    return {**now.counts, **times, "members": members}


def table(now: States) -> str:
    """Counts, time left, and the members that need a look."""
    counts = ", ".join(f"{count} {state}" for state, count in now.counts.items() if count) or "no members"
    left = "" if now.seconds_left is None else f"; about {duration(now.seconds_left)} left"
    took = "" if now.seconds is None else f"; a member takes {duration(now.seconds)}"
    lines = [f"{counts}{took}{left}"]
    ordered = sorted(now.members, key=lambda one: _FIRST.index(one.state))
    for one in ordered[:_ROWS]:
        lines.append(f"{one.state:<8} {one.member.id}  {documented(one.member)}  {one.reason}".rstrip())
    if len(ordered) > _ROWS:
        lines.append(f"… and {len(ordered) - _ROWS} more (--json lists all)")
    return "\n".join(lines)


class Pace:
    """How far a sweep is that this process waits for, and how long it still takes by the members that have ended."""

    def __init__(self) -> None:
        self._over, self._last = 0, 0.0  # how many have ended, and when the last of them did

    def line(self, members: int, over: int, failed: int, seconds: float) -> str:
        """The line of one moment, so many seconds after the start: between two ends the time left goes down."""
        if over != self._over:
            self._over, self._last = over, seconds
        broken = f", {failed} failed" if failed else ""
        text = f"{over} of {members} members ended{broken}"
        if not 0 < over < members:
            return text
        left = self._last * (members - over) / over - (seconds - self._last)
        return f"{text}, about {duration(left)} left" if left > 0 else text  # overdue: nothing is known


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _watch(sweep: Sweep) -> tuple[States, str]:
    from rich.console import Console  # loaded only where there is something to draw
    from rich.live import Live
    from rich.text import Text

    now, remark = look(sweep)
    try:
        with Live(console=Console(), transient=True, auto_refresh=False) as live:
            while now.counts["running"]:
                live.update(Text(table(now)), refresh=True)
                time.sleep(_EVERY)
                now, remark = look(sweep)
    except KeyboardInterrupt:
        pass
    return now, remark
