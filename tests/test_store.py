"""Faults at every write of a run: the message names the file, what was there stays whole, the run can go on."""

import errno
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import pytest

import flowsim
from flowsim.store import Identity, Lock, StoreError

from . import killing

SOURCE = killing.SOURCE.replace("points: 3000", "points: 600").replace("[loss]", "[]")
FILES = ("trajectory.nc", "parameters.safetensors", "descent/00.nc")


class Killed(BaseException):
    """As if the process had ended here."""


class Fault:
    """Counts the calls of a function of `os`, and breaks the one with number `at`."""

    def __init__(self, monkeypatch, name, *, at=None, error=None, after=False):
        self.calls, self.at, self.error, self.after = 0, at, error, after
        self._real = getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, *arguments, **options):
        self.calls += 1
        broken = self.calls - 1 == self.at
        if broken and not self.after:
            raise self.error
        result = self._real(*arguments, **options)
        if broken:
            raise self.error
        return result


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    with pytest.MonkeyPatch.context() as patch:
        syncs, moves = Fault(patch, "fsync"), Fault(patch, "replace")
        killing.run(folder, source=SOURCE)
    return folder, {"fsync": syncs.calls, "replace": moves.calls}


def assert_goes_on(folder, reference):
    killing.run(folder, resume=True, source=SOURCE)
    for name in FILES:
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name


CASES = [(name, after, kind) for name in ("fsync", "replace") for after in (False, True) for kind in ("kill", "full")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "after", "kind"), CASES)
def test_a_fault_at_any_write(tmp_path, reference, name, after, kind):
    """Before and after fsync, before and after rename: death, and a full disk, at each seventh write."""
    finished, calls = reference
    for at in range(CASES.index((name, after, kind)) % 7, calls[name], 7):
        folder = tmp_path / f"{at}"
        error = Killed() if kind == "kill" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with pytest.MonkeyPatch.context() as patch:
            Fault(patch, name, at=at, error=error, after=after)
            with pytest.raises((Killed, StoreError)) as told:
                killing.run(folder, source=SOURCE)
        if kind == "full":
            assert str(folder) in str(told.value)
            assert "the disk is full" in str(told.value)
        if (folder / "meta.json").exists():
            flowsim.load(folder)  # whatever is there can be read
        assert_goes_on(folder, finished)


def stopped(folder, segments=2):
    """A run that was killed after its first chunks."""
    with pytest.MonkeyPatch.context() as patch:
        Fault(patch, "replace", at=4 + 2 * segments, error=Killed())
        with pytest.raises(Killed):
            killing.run(folder, source=SOURCE)
    return folder


@pytest.mark.slow
def test_a_damaged_or_missing_segment_is_named_and_the_rest_is_read(tmp_path):
    folder = stopped(tmp_path / "run")
    whole = flowsim.load(folder)
    assert not whole.problems
    second = folder / "segments" / "000001.safetensors"
    content = bytearray(second.read_bytes())
    content[-3] ^= 1
    for damage in (lambda: second.write_bytes(content), lambda: second.write_bytes(content[:100]), second.unlink):
        damage()
        seen = flowsim.load(folder)
        assert str(second) in seen.problems[0]
        assert 0 < seen.dataset.sizes["time"] < whole.dataset.sizes["time"]
        assert (seen.dataset["loss"].values == whole.dataset["loss"].values[: seen.dataset.sizes["time"]]).all()
        with pytest.raises(StoreError, match=r"000001\.safetensors.*start the run again with --force"):
            killing.run(folder, resume=True, source=SOURCE)


def test_a_damaged_checkpoint_is_named(tmp_path):
    folder = stopped(tmp_path / "run")
    (folder / "checkpoint.safetensors").write_bytes(b"torn")
    assert "checkpoint" in flowsim.load(folder).problems[0]
    with pytest.raises(StoreError, match="checkpoint"):
        killing.run(folder, resume=True, source=SOURCE)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        (("rtol: 2.0e-6", "rtol: 1.0e-7"), "experiment.solver.rtol: the run has 2e-06, this one 1e-07"),
        (("width: 8", "width: 16"), "experiment.model.width: the run has 8, this one 16"),
        (("seed: 3", "seed: 3\nprecision: float32"), "experiment.precision: the run has 'float64', this one 'float32'"),
    ],
)
def test_another_experiment_is_refused_with_the_difference(tmp_path, changed, shown):
    folder = stopped(tmp_path / "run")
    try:
        with pytest.raises(StoreError) as told:
            killing.run(folder, resume=True, source=SOURCE.replace(*changed))
    finally:
        import jax

        jax.config.update("jax_enable_x64", True)
    assert shown in str(told.value)


def test_another_version_is_refused(tmp_path, monkeypatch):
    folder = stopped(tmp_path / "run")
    monkeypatch.setattr("flowsim.store.machine.__version__", "99.0")
    with pytest.raises(StoreError, match=r"versions\.flowsim.*99\.0"):
        killing.run(folder, resume=True, source=SOURCE)


@pytest.mark.slow
def test_going_on_with_a_finished_run_changes_nothing(reference, tmp_path):
    folder, _ = reference
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".nc", ".json")}
    outcome = killing.run(folder, resume=True, source=SOURCE)
    assert outcome.ok
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_replaced_run_leaves_nothing_of_the_old_and_touches_nothing_else(tmp_path):
    folder = tmp_path / "run"
    killing.run(folder, source=SOURCE)
    (folder / "my notes.txt").write_text("mine")
    killing.run(folder, source=re.sub(r"descent: .*\n", "", SOURCE))
    assert (folder / "my notes.txt").read_text() == "mine"
    assert not (folder / "descent").exists()


def test_two_writers_are_refused(tmp_path):
    with Lock(tmp_path):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
        with pytest.raises(StoreError, match=f"process {os.getpid()} on .* is writing"), Lock(tmp_path):
            pass
    assert not (tmp_path / "lock.json").exists()
    with Lock(tmp_path):
        pass


HOLDER = """
import pathlib, sys, time
from flowsim.store import Lock
with Lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"process {holder.pid} on "), Lock(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    assert (tmp_path / "lock.json").exists()
    with Lock(tmp_path):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()


def test_of_many_takers_one_is_in_at_a_time(tmp_path):
    """With whatever was left behind: nothing, an empty lock, one of a process that is gone."""
    inside, most, entered, faults = [], [], [], []

    def take(barrier):
        barrier.wait()
        try:
            with Lock(tmp_path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
                entered.append(1)
        except StoreError:
            pass
        except Exception as error:
            faults.append(error)

    for round in range(60):
        for name, left in (("lock.json", "{torn"), (".lock", "")):
            if round % 3:
                (tmp_path / name).write_text(left)
        barrier = threading.Barrier(4)
        takers = [threading.Thread(target=take, args=(barrier,)) for _ in range(4)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
    assert not faults
    assert max(most) == 1
    assert len(entered) >= 60


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "read-only"), (errno.EACCES, "permission denied"), (errno.ENOENT, "vanished")],
)
def test_the_reason_is_said(tmp_path, monkeypatch, number, words):
    Fault(monkeypatch, "replace", at=0, error=OSError(number, os.strerror(number)))
    with pytest.raises(StoreError, match=words):
        killing.run(tmp_path / "run", source=SOURCE)


def test_a_folder_that_vanishes(tmp_path, monkeypatch):
    import shutil

    folder, real = tmp_path / "run", os.replace

    def vanish(source, target):
        if pathlib.Path(target).name == "000001.safetensors":
            shutil.rmtree(folder)
        return real(source, target)

    monkeypatch.setattr(os, "replace", vanish)
    with pytest.raises(StoreError, match=r"000001.*vanished"):
        killing.run(folder, source=SOURCE)


def test_a_file_that_was_edited_is_named_instead_of_its_digests():
    stored = {"experiment": {"seed": 0}, "files": {"mine.py": "ab" * 32}, "versions": {}, "device": "cpu"}
    with pytest.raises(StoreError, match=r"mine.py was edited after the run began: undo that, or start .*--force"):
        Identity({"seed": 0}, {"mine.py": "cd" * 32}, {}, "cpu").refuse_other(stored, pathlib.Path("run"))
