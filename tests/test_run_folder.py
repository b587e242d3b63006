"""A run folder under hostile hands: nothing foreign is touched, no input is lost, pieces of another run are refused."""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import h5py
import jax
import numpy as np
import pytest

import flowsim
import flowsim.report
from flowsim import _files
from flowsim.cli.run import resumed
from flowsim.experiment import folders
from flowsim.experiment.run import run_experiment
from flowsim.store import RefusedError, StoreError, Summary, read_dataset
from flowsim.store.replacement import Replacement

from . import killing
from .test_cli import flowsim as command
from .test_store import Fault, Killed, stopped

SOURCE = killing.SOURCE.replace("points: 3000", "points: 60").replace("[loss]", "[]")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    killing.run(folder, source=SOURCE)
    return folder


@pytest.fixture(name="folder")
def _folder(finished, tmp_path):
    return pathlib.Path(shutil.copytree(finished, tmp_path / "run"))


def digest(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --force


@pytest.mark.slow
def test_force_that_would_replace_an_input_is_refused_and_loses_nothing(folder, tmp_path):
    source = SOURCE.replace(
        "init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}", "init: {kind: file, path: run/parameters.safetensors}"
    )
    (tmp_path / "e.yaml").write_text(source)
    before = digest(folder)
    done = command("run", tmp_path / "e.yaml", "--out", folder, "--force")
    assert done.returncode == 2, done.stderr
    assert "parameters.safetensors" in done.stderr
    assert "the experiment reads this file" in done.stderr
    after = digest(folder)
    assert {k: v for k, v in after.items() if k != ".lock"} == {k: v for k, v in before.items() if k != ".lock"}


@pytest.mark.slow
def test_force_keeps_the_old_run_until_the_new_one_is_complete(folder, monkeypatch):
    before = digest(folder)
    other = SOURCE.replace("seed: 3", "seed: 4")
    with pytest.MonkeyPatch.context() as patch:
        Fault(patch, "replace", at=7, error=Killed())
        with pytest.raises(Killed):
            killing.run(folder, source=other)
    kept = {name: data for name, data in digest(folder).items() if not name.startswith(".new")}
    assert {**kept, ".lock": b""} == {**before, ".lock": b""}
    assert flowsim.load(folder).complete
    killing.run(folder, source=other, resume=True)  # the new one
    assert json.loads((folder / "meta.json").read_text())["seed"] == 4
    assert not list(folder.glob(".new*"))
    assert (folder / "trajectory.nc").read_bytes() != before["trajectory.nc"]


@pytest.mark.slow
def test_a_death_while_the_new_run_takes_the_old_ones_place_is_made_good(folder, monkeypatch):
    other = SOURCE.replace("seed: 3", "seed: 4")
    with pytest.MonkeyPatch.context() as patch:
        real, moved = os.replace, []

        def dying(source, target):
            if ".moving" in str(source):
                moved.append(target)
                if len(moved) == 3:
                    raise Killed
            return real(source, target)

        patch.setattr(os, "replace", dying)
        with pytest.raises(Killed):
            killing.run(folder, source=other)
    with pytest.raises(StoreError, match="is not a run folder"):  # rather than half of one and half of the other
        flowsim.load(folder)
    outcome = killing.run(folder, source=other)
    assert outcome.ok
    assert json.loads((folder / "meta.json").read_text())["seed"] == 4
    assert not list(folder.glob(".moving*"))


def test_force_touches_nothing_foreign(folder):
    foreign = [
        "figures/mine.png",
        "discrete/mine.nc",
        "segments/mine.txt",
        ".hidden.tmp",
        "figures/.x.tmp",
        "sub/.y.tmp",
    ]
    for name in foreign:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    killing.run(folder, source=SOURCE)
    assert all((folder / name).read_text() == name for name in foreign)


def test_force_replaces_the_members_of_a_run_of_many(tmp_path):
    """As far as flowsim wrote them."""
    old, kept, new = "0" * 16, "1" * 16, "2" * 16

    def many(folder, *members):
        for member in members:
            (folder / "members" / member / "figures").mkdir(parents=True)
            for name in ("meta.json", "summary.json", "trajectory.nc", ".lock"):
                (folder / "members" / member / name).write_text("{}")
        (folder / "failed").mkdir()
        (folder / "failed" / f"{members[0]}.json").touch()
        for name in ("meta.json", "summary.json", "sweep.json", "members.jsonl"):
            (folder / name).write_text(members[0])

    many(tmp_path, old, kept)
    (tmp_path / "members" / kept / "mine.txt").touch()
    (tmp_path / "members" / "mine").mkdir()
    many(tmp_path / ".new", new)
    Replacement(tmp_path).end()
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    theirs = {f"members/{new}/{name}" for name in ("meta.json", "summary.json", "trajectory.nc", ".lock")}
    own = {"meta.json", "summary.json", "sweep.json", "members.jsonl", f"failed/{new}.json"}
    assert found == {*theirs, *own, f"members/{kept}/mine.txt"}
    assert (tmp_path / "sweep.json").read_text() == new
    assert (tmp_path / "members" / "mine").is_dir()


def test_force_on_a_folder_that_never_was_a_run_folder(tmp_path):
    folder = tmp_path / "mine"
    for name in ("figures/a.png", "segments/b", ".c.tmp", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    killing.run(folder, source=SOURCE)
    for name in ("figures/a.png", "segments/b", ".c.tmp", "notes.txt"):
        assert (folder / name).read_text() == name


# pieces


def test_a_segment_in_the_place_of_another_is_refused(tmp_path):
    folder = stopped(tmp_path / "run", segments=3)
    first, second = (folder / "segments" / f"00000{i}.safetensors" for i in (0, 1))
    first.write_bytes(second.read_bytes())
    with pytest.raises(RefusedError, match=r"000000\.safetensors: is not segment 0 of this run: start"):
        killing.run(
            folder, resume=True, source=killing.SOURCE.replace("points: 3000", "points: 600").replace("[loss]", "[]")
        )
    assert "is not segment 0" in flowsim.load(folder).problems[0]


def test_a_checkpoint_replaced_by_a_segment_is_refused(tmp_path):
    folder = stopped(tmp_path / "run")
    shutil.copy(folder / "segments" / "000000.safetensors", folder / "checkpoint.safetensors")
    with pytest.raises(RefusedError, match="is not a checkpoint"):
        killing.run(
            folder, resume=True, source=killing.SOURCE.replace("points: 3000", "points: 600").replace("[loss]", "[]")
        )


def test_an_edited_experiment_is_refused_on_resume_and_a_deleted_one_is_written_again(tmp_path):
    source = killing.SOURCE.replace("points: 3000", "points: 600").replace("[loss]", "[]")
    folder = stopped(tmp_path / "run")
    shown = folder / "experiment.yaml"
    given = shown.read_text()
    shown.write_text(given + "# edited\n")
    with pytest.raises(RefusedError, match=r"experiment\.yaml: was edited after the run began"):
        killing.run(folder, resume=True, source=source)
    shown.unlink()
    killing.run(folder, resume=True, source=source)
    assert shown.read_text() == given


@pytest.mark.slow
def test_figures_that_were_changed_are_drawn_by_the_resumed_run(tmp_path):
    source = killing.SOURCE.replace("points: 3000", "points: 600").replace("[loss]", "[]")
    folder = stopped(tmp_path / "run")
    killing.run(folder, resume=True, source=source.replace("figures: []", "figures: [loss]"))
    assert (folder / "figures" / "loss.png").exists()
    assert json.loads((folder / "meta.json").read_text())["figures"]


def test_figures_that_were_changed_in_the_resolved_file_are_drawn_by_the_resumed_run(tmp_path):
    folder = stopped(tmp_path / "run")
    resolved = folder / "resolved.yaml"
    text = resolved.read_text()
    assert "figures: []" in text
    resolved.write_text(text.replace("figures: []", "figures: [{kind: loss}]"))
    run_experiment(resumed(folder).source, folder, resume=True)
    assert (folder / "figures" / "loss.png").exists()
    assert "kind: loss" in resolved.read_text()


@pytest.mark.slow
def test_the_report_is_made_again_to_the_same_bytes(tmp_path):
    folder = tmp_path / "run"
    killing.run(folder, source=SOURCE.replace("figures: []", "figures: [loss, attention]"))
    before = {name: data for name, data in digest(folder).items() if name.startswith(("report", "figures"))}
    assert len(before) == 5
    flowsim.report.rebuild(folder)
    assert all((folder / name).read_bytes() == data for name, data in before.items())


# disks, modes, links


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="only Linux names open files")
def test_write_sync_rename_in_this_order(tmp_path, monkeypatch):
    """E7: a rename before the data are on the disk could leave an empty file after a power cut."""
    calls, sync, replace = [], os.fsync, os.replace

    def syncing(descriptor):
        path = pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append(("fsync", path, path.read_bytes() if path.is_file() else None))
        sync(descriptor)

    def replacing(source, target):
        calls.append(("replace", pathlib.Path(source), pathlib.Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", replacing)
    _files.write_bytes(tmp_path / "a", b"data")
    temporary = calls[0][1]
    assert temporary.parent == tmp_path
    assert calls == [
        ("fsync", temporary, b"data"),
        ("replace", temporary, tmp_path / "a"),
        ("fsync", tmp_path, None),
    ]


@pytest.mark.slow
@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root"
)
def test_a_full_disk_gives_one_message_and_nothing_torn(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (tmp_path / "e.yaml").write_text(SOURCE)
        done = command("run", tmp_path / "e.yaml", "--out", disk / "run", "save.points=2000")
        assert done.returncode == 1, done.stderr
        told = [line for line in done.stderr.splitlines() if line.startswith("flowsim:")]
        assert len(told) == 1
        assert "the disk is full: free some space" in told[0]
        assert "Traceback" not in done.stderr
        assert not [path for path in disk.rglob("*") if path.name.endswith(".tmp")]
        for write in (
            lambda: _files.write_dataset(disk / "x.nc", flowsim_dataset()),
            lambda: _files.write_bytes(disk / "x", bytes(100_000)),
        ):
            with pytest.raises(StoreError, match="the disk is full"):
                write()
        assert not (disk / "x.nc").exists()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def flowsim_dataset():
    import xarray

    return xarray.Dataset({"a": ("time", np.arange(50_000.0))})


def test_modes_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        killing.run(tmp_path / "run", source=SOURCE)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o640}, modes


@pytest.mark.parametrize("name", ["log.txt", ".lock", "descent", "segments"])
def test_nothing_is_written_through_a_symbolic_link(tmp_path, name):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    if name in ("descent", "segments"):
        elsewhere.mkdir()
    else:
        elsewhere.write_text("precious")
    (folder / name).symlink_to(elsewhere)
    try:
        killing.run(folder, source=SOURCE)
    except RefusedError as error:
        assert name in str(error)  # noqa: PT017 (either is right)
    assert list(elsewhere.iterdir()) == [] if elsewhere.is_dir() else elsewhere.read_text() == "precious"


@pytest.mark.parametrize("name", ["summary.json", "trajectory.nc", "meta.json", "descent/00.nc"])
def test_a_pipe_is_refused_rather_than_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RefusedError, match="is not a regular file"):
        flowsim.report.rebuild(folder)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["a" * 300, "b/" + "c" * 300])
def test_a_name_that_is_too_long(tmp_path, name):
    (tmp_path / "e.yaml").write_text(SOURCE)
    done = command("run", tmp_path / "e.yaml", "--out", tmp_path / name)
    assert done.returncode == 2
    assert "too long" in done.stderr
    assert "unexpected" not in done.stderr


# reading


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"events": {"e": {"time": "soon"}}}, "events.e.time"),
        ({"events": []}, "events"),
        ({"final": {"time": 1.0, "loss": "low"}}, "final.loss"),
        ({"solver": {"steps": "many"}}, "solver.steps"),
        ({"certificate": {"invariants": 3}}, "certificate.invariants"),
        ({"descent": {"runs": [{}]}}, "descent.runs.0.optimizer"),
        ({"complete": "yes"}, "complete"),
    ],
)
def test_malformed_types_in_a_summary_are_named(folder, change, place):
    path = folder / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RefusedError, match=rf"summary\.json: is not a run's summary.*{place}"):
        Summary.read(folder)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"final": {"time": NaN}}', "[" * 100_000, "\x00"])
def test_report_on_a_damaged_summary_is_one_message(folder, text):
    (folder / "summary.json").write_text(text)
    with pytest.raises(RefusedError, match=r"summary\.json"):
        flowsim.load(folder)


def external(file):
    file["loss"] = h5py.ExternalLink("other.nc", "/loss")


def virtual(file):
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.nc", "loss", shape=(3,))
    file.create_virtual_dataset("loss", layout)


def stored_elsewhere(file):
    file.create_dataset("loss", shape=(3,), dtype="f8", external=[("/etc/passwd", 0, 24)])


def soft(file):
    file["loss"] = h5py.SoftLink("/")


def huge(file):
    file.create_dataset("loss", shape=(1 << 40,), dtype="f8", chunks=(1024,))


@pytest.mark.parametrize("make", [external, virtual, stored_elsewhere, soft, huge])
def test_hdf5_that_points_elsewhere_is_refused(tmp_path, make):
    path = tmp_path / "trajectory.nc"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(RefusedError, match=r"trajectory\.nc: .*(elsewhere|other files|at most)"):
        read_dataset(path)


def test_no_absolute_path_is_kept(tmp_path, folder, monkeypatch):
    assert str(tmp_path) not in (folder / "meta.json").read_text()
    assert "source_folder" not in (folder / "report.html").read_text()
    monkeypatch.setattr(pathlib.Path, "home", lambda: pathlib.Path("/home/ada"))
    for source, run, text in (
        ("/home/ada/exp", "/scratch/run", "~/exp"),
        ("/home/ada/exp", "/home/ada/runs/a", "../../exp"),
        ("/data/exp", "/data/runs/a", "../../exp"),
    ):
        assert folders.written(pathlib.Path(source), pathlib.Path(run)) == text
    assert folders.read("../../exp", pathlib.Path("/data/runs/a")).resolve() == pathlib.Path("/data/exp")


def test_a_loaded_run(folder):
    run = flowsim.load(folder)
    assert run.complete
    assert run.summary.status == "done"
    assert run.summary.final.time == 20.0
    assert set(run.parameters) == {"W", "W_V", "W_K", "W_Q", "a"}
    assert run.events["phase1_end"].time == run.summary.events["phase1_end"].time
    assert run.dataset.sizes["time"] == 61
    assert len(repr(run)) < 20_000
    assert isinstance(run.model, flowsim.models.CooccurrenceTransformer)  # built from the experiment, and filled
    np.testing.assert_array_equal(run.model.W_K, run.parameters["W_K"])
    with jax.enable_x64(False), pytest.raises(StoreError, match=r"is of float64: first write jax\.config\.update"):
        _ = flowsim.load(folder).model


@pytest.mark.parametrize("given", ["solvers", "check e.yaml"])
def test_a_full_stdout_is_one_message(given, tmp_path, monkeypatch):
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    (tmp_path / "e.yaml").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    arguments = [sys.executable, "-m", "flowsim", *given.split(), "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line != "e.yaml: no errors."]
    assert said == ["flowsim: stdout cannot be written: No space left on device"]
