"""Progress: a live line on a terminal, few plain lines elsewhere."""

import io
import logging
import math

import pytest

from flowsim import _progress as module
from flowsim._progress import Progress
from flowsim.cli.progress import progress as showing
from flowsim.cli.progress import telling
from flowsim.cli.status import Pace


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.clock, "monotonic", lambda: now[0])
    return now


def listened(monkeypatch):
    """What is written to stderr from here on; in the test itself, as pytest has its own between fixtures and tests."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_the_line_of_a_moment():
    line = Progress.line(time=150.0, t1=300.0, loss=3.2e-5, steps=58, fraction=0.5, seconds=75.0)
    assert line == "t = 150 of 300  loss 3.200e-05  58 steps   50 %  1:15 left"
    assert "10:00:00 left" in Progress.line(1.0, 2.0, 0.1, 1, 0.5, 36_000.0)
    assert "unknown" in Progress.line(0.0, 2.0, math.nan, 0, 0.0, 1.0)


def test_plain_lines_are_ten_seconds_apart(monkeypatch, clock):
    stream = listened(monkeypatch)
    with showing() as progress:
        for second in range(35):
            clock[0] = float(second)
            progress.update(float(second), 35.0, 0.1, second, second / 35)
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["10", "20", "30"]
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_last_measured_loss_stays(monkeypatch, clock):
    stream = listened(monkeypatch)
    with showing() as progress:
        progress.update(1.0, 9.0, 0.25, 1, 0.1)
        clock[0] = 10.0
        progress.update(2.0, 9.0, math.nan, 2, 0.2)
    assert "loss 2.500e-01" in stream.getvalue()


def test_quiet_says_nothing(monkeypatch, clock):
    stream = listened(monkeypatch)
    with showing(quiet=True) as progress:
        clock[0] = 100.0
        progress.update(1.0, 2.0, 0.1, 1, 0.5)
        progress.say("stage")
    assert stream.getvalue() == ""


def test_a_terminal_gets_one_live_line(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with showing() as progress:
        progress.update(1.0, 2.0, 0.1, 7, 0.5)
        progress.say("[bold]stage[/bold]")
        progress.update(2.0, 2.0, 0.1, 9, 1.0)
    shown = stream.getvalue()
    assert "9 steps" in shown
    assert "[bold]stage[/bold]" in shown, "a message is text, not markup"
    assert "\x1b[2K" in shown, "the line is removed at the end"


def test_a_dumb_terminal_gets_no_animation(monkeypatch, clock):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "dumb")
    with showing() as progress:
        progress.update(1.0, 2.0, 0.1, 7, 0.5)
        progress.say("stage")
    assert stream.getvalue() == "stage\n"


def test_more_is_said_with_verbose(monkeypatch):
    """Warnings always; what goes into `log.txt` as well, where more was asked for."""
    said = {}
    for verbose in (False, True):
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        with showing() as shown, telling(shown, verbose=verbose):
            log = logging.getLogger("flowsim.experiment")
            log.setLevel(logging.INFO)
            log.info("solver dopri8")
            log.warning("no certificate")
        said[verbose] = stream.getvalue().splitlines()
    assert said == {False: ["no certificate"], True: ["solver dopri8", "no certificate"]}


def test_a_stage_is_the_line_until_it_is_known_how_far_it_is(monkeypatch, clock):
    """The time left is that of the stage: a second integration does not stand at the end of the first."""
    stream = listened(monkeypatch)
    with showing() as progress:
        for second, do in ((10.0, lambda: progress.doing("compiling")),
                           (20.0, lambda: progress.update(9.0, 9.0, 0.25, 7, 1.0)),
                           (30.0, lambda: progress.doing("certificate: compiling", "certificate: ")),
                           (40.0, lambda: progress.update(3.0, 9.0, math.nan, 5, 0.25))):  # fmt: skip
            clock[0] = second
            do()
    assert stream.getvalue().splitlines() == [
        "compiling …",
        "t = 9 of 9  loss 2.500e-01  7 steps  100 %  0:00 left",
        "certificate: compiling …",
        "certificate: t = 3 of 9  loss —  5 steps   25 %  0:30 left",
    ]


def test_the_same_line_is_not_repeated(monkeypatch, clock):
    stream = listened(monkeypatch)
    with showing() as progress:
        for second in range(60):
            clock[0] = float(second)
            progress.show(lambda _: "0 of 4 members ended")
    assert stream.getvalue() == "0 of 4 members ended\n"


def test_a_sweeps_time_left_goes_down_between_two_ends():
    pace = Pace()
    assert pace.line(4, 0, 0, 5.0) == "0 of 4 members ended"
    assert pace.line(4, 1, 0, 10.0) == "1 of 4 members ended, about 30.0 s left"
    assert pace.line(4, 1, 0, 25.0) == "1 of 4 members ended, about 15.0 s left"
    assert pace.line(4, 1, 0, 99.0) == "1 of 4 members ended"  # overdue
    assert pace.line(4, 2, 1, 100.0) == "2 of 4 members ended, 1 failed, about 1 min 40 s left"
    assert pace.line(4, 4, 1, 200.0) == "4 of 4 members ended, 1 failed"


def test_an_ensemble_counts_seeds(monkeypatch, clock):
    stream = listened(monkeypatch)
    with showing() as progress:
        clock[0] = 30.0
        progress.members(3, 12)
    assert stream.getvalue().strip() == "3 of 12 seeds   25 %  1:30 left"


def test_time_left_is_at_the_pace_since_the_first_update(monkeypatch, clock):
    """What came before was also compiled: 20 s of it would stand for 3 minutes."""
    stream = listened(monkeypatch)
    with showing() as progress:
        for second, fraction in ((20.0, 0.1), (31.0, 0.2)):
            clock[0] = second
            progress.update(fraction, 1.0, 0.1, 1, fraction)
    assert stream.getvalue().splitlines()[-1].endswith("1:28 left")
