"""SIGINT and SIGTERM: deferred while a chunk runs, at once the second time, and never lost."""
# ruff: noqa: PT012  (the signal arrives somewhere in the block)

import os
import pathlib
import signal
import threading
import time

import pytest

from flowsim.experiment import signals
from flowsim.experiment.signals import Interrupted, stopping

FOLDER = pathlib.Path("run")


def send_later(number, after=0.05):
    threading.Timer(after, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_waits_for_the_work(number):
    done = []
    with pytest.raises(Interrupted, match="--resume run") as told, stopping(FOLDER) as stop, stop.deferred():
        send_later(number)
        done.append(stop.run(lambda: time.sleep(0.3) or "done"))
        stop.check()
    assert done == ["done"]
    assert told.value.signal == number
    assert not told.value.abandoned


def test_two_signals_leave_the_work_behind():
    began = time.monotonic()
    with pytest.raises(Interrupted) as told, stopping(FOLDER) as stop, stop.deferred():
        send_later(signal.SIGINT)
        send_later(signal.SIGINT, 0.2)
        stop.run(lambda: time.sleep(3.0))
    assert told.value.abandoned
    assert time.monotonic() - began < 2.0


def test_outside_of_a_deferred_section_the_first_signal_ends_it():
    with pytest.raises(Interrupted) as told, stopping(FOLDER):
        send_later(signal.SIGTERM)
        time.sleep(1.0)
    assert told.value.signal == signal.SIGTERM
    assert not told.value.abandoned


def test_an_error_of_the_work_is_raised_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with stopping(FOLDER) as stop, pytest.raises(ZeroDivisionError):
        stop.run(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is before


def swallow(work):
    """What JAX's reader of its compilation cache, and much else, does."""
    try:
        work()
    except Exception:
        pytest.fail("swallowed")


def test_an_except_exception_does_not_swallow_it():
    with pytest.raises(Interrupted), stopping(FOLDER):
        send_later(signal.SIGTERM)
        swallow(lambda: time.sleep(1.0))


class Dropping:
    """Python drops exceptions that are raised in a finalizer."""

    def __del__(self):
        time.sleep(0.5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("checked", [True, False])
def test_a_signal_whose_exception_python_drops_ends_the_run_at_its_next_check_or_its_end(checked):
    went_on = []
    with pytest.raises(Interrupted), stopping(FOLDER) as stop:
        send_later(signal.SIGINT)
        dropping = Dropping()
        del dropping
        went_on.append(True)
        if checked:
            stop.check()
            pytest.fail("the check did not end it")
    assert went_on == [True]


def test_the_message_names_the_command_that_resumes():
    with pytest.raises(Interrupted, match="flowsim verify --resume run"), stopping(FOLDER, "verify") as stop:
        with stop.deferred():
            send_later(signal.SIGINT, 0.0)
            time.sleep(0.2)
        stop.check()


def test_the_command_that_resumes_names_the_plugins(monkeypatch):
    """Without them the run's own kinds are not known."""
    monkeypatch.setattr(signals, "sources", lambda: (pathlib.Path("/a b/mine.py"),))
    assert str(Interrupted(signal.SIGINT, FOLDER, "verify")).endswith(
        "flowsim verify --resume run --plugin '/a b/mine.py'"
    )


def test_work_aside_is_done_while_the_block_runs():
    with stopping(FOLDER) as stop, stop.aside(lambda: time.sleep(0.4) or time.monotonic()) as result:
        time.sleep(0.4)
        here = time.monotonic()
        assert result() - here < 0.3  # one after the other it would be 0.4


def test_a_signal_leaves_work_aside_behind():
    began = time.monotonic()
    with pytest.raises(Interrupted) as told, stopping(FOLDER) as stop, stop.aside(lambda: time.sleep(3.0)):
        send_later(signal.SIGTERM)
        time.sleep(1.0)
    assert told.value.abandoned
    assert time.monotonic() - began < 2.0


def test_an_error_aside_is_raised_where_the_result_is_asked_for():
    with stopping(FOLDER) as stop, stop.aside(lambda: 1 / 0) as result, pytest.raises(ZeroDivisionError):
        result()


def test_beside_another_thread_the_work_is_done_where_it_is_asked_for():
    seen = []

    def other():
        with stopping(FOLDER) as stop, stop.aside(threading.current_thread) as result:
            seen.append(result() is threading.current_thread())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [True]
