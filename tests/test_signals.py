"""SIGINT and SIGTERM: patience while a chunk runs, none the second time."""

import os
import pathlib
import signal
import threading
import time

import pytest

from flowsim.experiment.signals import Interrupted, stopping

FOLDER = pathlib.Path("run")


def send_later(number, after=0.05):
    threading.Timer(after, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_waits_for_the_work(number):
    with stopping(FOLDER) as stop, stop.patience():
        send_later(number)
        assert stop.run(lambda: time.sleep(0.3) or "done") == "done"
        with pytest.raises(Interrupted, match="--resume run") as told:
            stop.obey()
    assert told.value.signal == number
    assert not told.value.abandoned


def test_two_signals_leave_the_work_behind():
    began = time.monotonic()
    with stopping(FOLDER) as stop, stop.patience():
        send_later(signal.SIGINT)
        send_later(signal.SIGINT, 0.2)
        with pytest.raises(Interrupted) as told:
            stop.run(lambda: time.sleep(3.0))
    assert told.value.abandoned
    assert time.monotonic() - began < 2.0


def test_outside_of_patience_the_first_signal_ends_it():
    with stopping(FOLDER):
        send_later(signal.SIGTERM)
        with pytest.raises(Interrupted) as told:
            time.sleep(1.0)
    assert told.value.signal == signal.SIGTERM
    assert not told.value.abandoned


def test_an_error_of_the_work_is_raised_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with stopping(FOLDER) as stop, pytest.raises(ZeroDivisionError):
        stop.run(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is before
