"""Files of a sweep's members that are damaged, or another member's."""

import shutil

import pytest

from flowsim._files import RefusedError
from flowsim.result import Result
from flowsim.sweep.collect import collect
from flowsim.sweep.state import states
from flowsim.sweep.stored import read
from flowsim.sweep.verification import Run, Runs

from .test_cli import flowsim as command
from .test_sweep import finish, made, planned


@pytest.mark.parametrize("content", [None, b"\x89HDF"], ids=["missing", "torn"])
def test_a_members_file_is_named_and_not_the_sweeps(content, tmp_path):
    """It was told that sweep.nc could not be written, or that its folder had vanished."""
    sweep = made(tmp_path, planned("", "seed=[0,1]"))
    for name in sweep.members:
        finish(sweep, name)
    first = sweep.folder(next(iter(sweep.members)))
    if content is not None:
        (first / "trajectory.nc").write_bytes(content)
    with pytest.raises(RefusedError, match=rf"{first.name}/trajectory\.nc: cannot be read .*it is run again"):
        collect(sweep, states(sweep))


@pytest.mark.parametrize("arguments", [("status",), ("collect", "--no-trajectories"), ("sweep", "--resume")])
def test_a_folder_that_holds_another_members_run_is_refused(arguments, tmp_path):
    """It was collected under the name of the member that it is not."""
    sweep = made(tmp_path, planned("", "flow.t1=[1,2]"))
    first, second = map(sweep.folder, sweep.members)
    finish(sweep, second.name)
    shutil.copytree(second, first)
    done = command(*arguments, tmp_path)
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.splitlines()
    assert f"{first}: holds the run of another member, {second.name}; delete the folder, and it is run again" in said
    assert first.exists()
    shutil.rmtree(first)
    assert states(sweep).pending() == [first.name]


@pytest.mark.parametrize("name", ["summary.json", "meta.json"])
def test_a_members_torn_file_is_refused_with_the_remedy(name, tmp_path):
    sweep = made(tmp_path, planned("", "seed=[0,1]"))
    first, _ = sweep.members
    finish(sweep, first)
    (sweep.folder(first) / name).write_text("{")
    with pytest.raises(RefusedError, match=rf"{first}/{name}: cannot be read as JSON .*; delete the folder, and it is"):
        read(sweep.folder(first), 0)
    if name == "summary.json":
        assert states(sweep).members[0].reason.endswith("delete the folder, and it is run again")


def test_a_verification_refuses_the_folder_of_another_of_its_runs(tmp_path):
    sweep = made(tmp_path, planned("", "seed=[0,1]"))
    first, second = sweep.members.values()
    finish(sweep, second.id)
    shutil.copytree(sweep.folder(second.id), sweep.folder(first.id))
    own = Run(first, sweep.plans[0], sweep.plans[0].experiment(first.overrides))
    with pytest.raises(RefusedError, match=f"holds the run of another member, {second.id}"):
        Runs(tmp_path, tmp_path, 2).put(own, object.__new__(Result))  # at which nobody looks
