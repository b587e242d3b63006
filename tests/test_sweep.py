"""Sweeps: axes, members, their states, and what is collected of them."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import xarray

import flowsim
from flowsim.config import ExperimentErrors
from flowsim.sweep import Sweep, SweepError, claim, expand, states
from flowsim.sweep.collect import collect
from flowsim.sweep.ended import Ended
from flowsim.sweep.expand import plan
from flowsim.sweep.exponents import exponents
from flowsim.sweep.grid import grid
from flowsim.sweep.local import Local
from flowsim.sweep.place import PlaceError
from flowsim.sweep.places import Options, check_slurm_options, place
from flowsim.sweep.slurm import grouped
from flowsim.sweep.state import Queued

SOURCE = """\
name: small
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 9}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 2.0}
save: {points: 10, spacing: log, first: 1.0e-2}
figures: []
certificate: false
"""


def planned(text="", *overrides, folder=pathlib.Path(".")):
    return plan(SOURCE + text, origin="e.yaml", folder=folder, overrides=overrides)


def values(text="", *overrides):
    return [tuple(member.values.values()) for member in expand(planned(text, *overrides))]


def test_the_product_of_lists_ranges_counts_and_keys_that_change_together():
    assert values("", "model.width=[8,16]", "seed=[1,2]") == [(8, 1), (8, 2), (16, 1), (16, 2)]
    assert values("seed: 3\nsweep: {seed: {count: 3}}\n") == [(3,), (4,), (5,)]
    assert values("sweep: {model.width: {log: [64, 4096, 7]}}\n") == [(2.0**k,) for k in range(6, 13)]
    assert values("sweep: {flow.t1: {linear: [1, 2, 5]}}\n") == [(1.0,), (1.25,), (1.5,), (1.75,), (2.0,)]
    together = "sweep:\n  together: {flow.t1: [1, 10], solver.rtol: [1.0e-8, 1.0e-6]}\n  seed: [0, 1]\n"
    assert values(together) == [(1.0, 1e-8, 0), (1.0, 1e-8, 1), (10.0, 1e-6, 0), (10.0, 1e-6, 1)]


def test_seeds_are_an_axis():
    assert values("seeds: 2\nseed: 5\nsweep: {model.width: [8, 16]}\n") == [(8, 5), (8, 6), (16, 5), (16, 6)]
    assert values("", "seeds=[4,9]") == [(4,), (9,)]
    assert [m.id for m in expand(planned("seeds: 2\n"))] == [m.id for m in expand(planned("", "seed={count: 2}"))]


def test_a_list_is_an_axis_only_for_a_key_that_takes_one_value():
    assert len(expand(planned("", "events=[phase1_end]"))) == 1
    assert len(expand(planned("", "events=[[phase1_end],[]]"))) == 2
    assert values("", "init.sigma0={log: [0.1, 0.4, 3]}") == [(0.1,), (0.2,), (0.4,)]


def test_the_command_line_replaces_axes_of_the_file():
    section = "sweep: {model.width: [8, 16], seed: [1, 2]}\n"
    assert values(section, "seed=7") == [(8,), (16,)]
    assert values(section, "seed=[5]") == [(8, 5), (16, 5)]


def test_a_member_is_named_by_what_it_is():
    one, two = expand(planned("", "model.width=[8,16]")), expand(planned("", "model.width=[16,32,1.6e1]"))
    assert {m.id for m in one} & {m.id for m in two} == {one[1].id}
    assert len(two) == 2  # 16 and 16.0 are one
    (plain,), (noted,) = expand(planned()), expand(planned("notes: another\n"))
    assert plain.id == noted.id


def test_a_file_that_changes_makes_another_member(tmp_path):
    arrays = {"tokens": np.zeros((4, 3), int), "labels": np.array([1, -1, 1, -1])}
    text = SOURCE.replace(SOURCE.splitlines()[1], "task: {kind: file, path: d.npz, vocabulary: 9}")
    found = []
    for token in (0, 1):
        np.savez(tmp_path / "d.npz", **arrays | {"tokens": arrays["tokens"] + token})
        found += expand(plan(text, origin="e.yaml", folder=tmp_path))
    assert found[0].id != found[1].id


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("", ["model.wdith=[8,16]"], "did you mean 'width'?"),
        ("", ["model.width=[8,-3]", "seed=[1,2]"], "got -3"),
        ("", ["model.width=[]"], "must have 1 to 1000000 values"),
        ("", ["seed={count: 0}"], "count must be a whole number"),
        ("", ["model.width={count: 3}"], "only the axis seed"),
        ("", ["init.sigma0={log: [0, 1, 3]}"], "first and last > 0"),
        ("", ["init.sigma0={log: [1, 2]}"], "[first, last, n]"),
        ("", ["seed={count: 1000}", "model.width={linear: [1, 2000, 2000]}"], "2000000 members"),
        ("sweep: {seed: 3}\n", [], "must be a list of values"),
        ("sweep: [1, 2]\n", [], "key: [value"),
        ("sweep: {together: {seed: [1, 2], flow.t1: [1]}}\n", [], "seed has 2, flow.t1 has 1"),
        ("sweep: {together: {seed: [1], flow.t1: [1]}}\n", ["seed=[3]"], "changes together with flow.t1"),
        ("seeds: 3\nsweep: {seed: [1]}\n", [], "`seeds` is an axis seed"),
        ("seeds: 0\n", [], "how many seeds (1 … 10000)"),
        ("sweep: {seed: [1], together: {seed: [1], flow.t1: [1]}}\n", [], "twice"),
    ],
)
def test_bad_axes_are_refused_with_a_remedy(text, overrides, said):
    with pytest.raises(ExperimentErrors) as caught:
        expand(planned(text, *overrides))
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


def test_mistakes_of_a_file_are_told_at_their_lines():
    with pytest.raises(ExperimentErrors) as caught:
        expand(planned("sweep:\n  model.width: [8, 0]\n  init.sigma0: {log: [1, 2]}\n  model.wdith: [1]\n"))
    assert [problem.place.line for problem in caught.value.problems] == [11]  # the form of an axis comes first
    with pytest.raises(ExperimentErrors) as caught:
        expand(planned("sweep:\n  model.width: [8, 0]\n  model.wdith: [1]\n"))
    assert [problem.place.line for problem in caught.value.problems] == [10, 11]


def made(path, *plans):
    """A sweep's folder of plans, nothing run."""
    for one in plans:
        sweep = Sweep.add(path, one, expand(one))
    return sweep


def finish(sweep, name, *, complete=True, time=1.0, **final):
    """A member's folder as a run leaves it, less the arrays."""
    folder = sweep.folder(name)
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    content = {"member": name, "complete": complete, "message": "the loss is not finite", "final": final}
    content["events"] = {"phase1_end": {"time": time, "uncertainty": 1e-9}}
    (folder / "summary.json").write_text(json.dumps(content | {"certificate": {"relative_error": 1e-9}, "solver": {}}))


def test_two_sweeps_into_one_folder_add_up(tmp_path):
    first, second = planned("", "model.width=[8,16]"), planned("", "model.width=[16,32]", "seed=[0,1]")
    sweep = made(tmp_path / "s", first, second, first)
    assert len(sweep.plans) == 2
    assert len(sweep.members) == 2 + 4 - 1
    assert Sweep.read(tmp_path / "s").members == sweep.members
    assert Sweep.read(tmp_path / "s").plans == sweep.plans
    where = grid(sweep)
    assert {one.name: [point[0] for point in one.points] for one in where.dimensions} == {
        "model.width": [8, 16, 32],
        "seed": [0, 1],
    }
    assert len(set(where.places.values())) == 5
    longer = made(tmp_path / "s", planned("", "model.width=[8,16]", "flow.t1=3"))
    assert [one.name for one in grid(longer).dimensions] == ["model.width", "seed", "flow.t1"]
    assert len(set(grid(longer).places.values())) == 7


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    for name, said in (("file", "not a folder"), ("full", "not the folder of a sweep")):
        with pytest.raises(SweepError, match=said):
            made(tmp_path / name, planned())
    with pytest.raises(SweepError, match=r"holds no sweep\.json"):
        Sweep.read(tmp_path / "full")


def test_states_are_read_from_the_folders(tmp_path):
    sweep = made(tmp_path, planned("", "seed={count: 8}"))
    done, bad, running, lost, crashed, half, *waiting = sweep.members
    finish(sweep, done)
    finish(sweep, bad, complete=False)
    finish(sweep, half)
    (sweep.folder(half) / "checkpoint.safetensors").touch()  # killed between its summary and its figures
    with claim.claimed(sweep.claim(running)):
        sweep.claim(lost).write_text(json.dumps({"host": os.uname().nodename, "pid": 2**22 + 1, "born": "1"}))
        sweep.failure(crashed).write_text(json.dumps({"reason": "ended by SIGKILL"}))
        found = {one.member.id: one for one in states(sweep).members}
        with pytest.raises(claim.Busy), claim.claimed(sweep.claim(running)):
            pass
    assert [found[name].state for name in sweep.members] == [
        "done", "failed", "running", "lost", "failed", "waiting", "waiting", "waiting",
    ]  # fmt: skip
    assert "not finite" in found[bad].reason
    assert "SIGKILL" in found[crashed].reason
    assert [name for name in sweep.members if found[name].again] == [lost, crashed, half, *waiting]
    with claim.claimed(sweep.claim(lost)) as left_behind:
        assert left_behind


def test_a_process_that_is_killed_after_its_member_was_finished_has_not_failed(tmp_path):
    sweep = made(tmp_path, planned("", "seed={count: 2}"))
    whole, half = sweep.members
    finish(sweep, whole)
    place = Local(sweep, jobs=1)
    left = [place._left(Ended(name, "failed", "ended by SIGKILL")) for name in (whole, half)]
    assert [ended.state for ended in left] == ["done", "failed"]
    assert [sweep.failure(name).exists() for name in (whole, half)] == [False, True]


def test_a_queue_says_what_waits_and_what_it_has_forgotten(tmp_path):
    sweep = made(tmp_path, planned("", "seed={count: 3}"))
    one, two, _ = sweep.members
    now = states(sweep, {one: Queued("waiting", "pending: Resources"), two: Queued("lost", "no more")})
    assert [x.state for x in now.members] == ["waiting", "lost", "waiting"]
    assert [x.again for x in now.members] == [False, True, True]
    sweep.failure(one).write_text(json.dumps({"reason": "ended by SIGKILL"}))
    at = sweep.failure(one).stat().st_mtime
    again = [states(sweep, {one: Queued("waiting", since=at + dt)}).members[0].state for dt in (-1, 1)]
    assert again == ["failed", "waiting"]  # one that was submitted again after it failed is not submitted twice


def test_a_claim_of_another_host_counts_while_it_is_touched(tmp_path):
    path = tmp_path / "claim.json"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "born": "1"}))
    assert claim.alive(path, claim.read(path))
    os.utime(path, (0, path.stat().st_mtime - 1000))
    assert not claim.alive(path, claim.read(path))


def test_a_torn_claim_is_of_nobody(tmp_path):
    path = tmp_path / "claim.json"
    path.write_text('{"host": "')
    os.utime(path, (0, path.stat().st_mtime - 1000))
    with claim.claimed(path) as left_behind:
        assert left_behind
    assert not path.exists()


def test_collection_has_a_dimension_for_each_axis(tmp_path):
    sweep = made(tmp_path, planned("", "model.width=[8,16,32,64]", "seed=[0,1]"))
    for name, member in list(sweep.members.items())[:-1]:
        finish(sweep, name, time=40.0 / member.values["model.width"] ** 2, loss=0.5 + member.values["seed"])
    found = collect(sweep, states(sweep), trajectories=False)
    stored = flowsim.load_sweep(tmp_path)
    assert stored.sizes["model.width"] == 4
    assert stored["event_time"].dims == ("event", "model.width", "seed")
    assert float(stored["final_loss"].sel({"model.width": 16, "seed": 1})) == 1.5
    assert stored["status"].values[-1].tolist() == ["done", "waiting"]
    assert np.isnan(stored["final_loss"].values[-1, -1])
    (law,) = exponents(found, "t", found["event_time"].sel(event="phase1_end"))
    assert law.axis == "model.width"
    assert law.exponent == pytest.approx(-2.0, abs=1e-9)
    with (tmp_path / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8
    assert float(table[0]["event_time.phase1_end"]) == 40.0 / 64


def test_places_that_cannot_be_used_say_why(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path, [], {})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlaceError, match="no Slurm on this machine"):
        place("slurm", sweep, Options())
    with pytest.raises(PlaceError, match="--on is local, slurm, dask"):
        place("lsf", sweep, Options())
    with pytest.raises(PlaceError, match="for --on slurm"):
        place("local", sweep, Options(slurm=("time=1",)))
    with pytest.raises(PlaceError, match="cannot be given"):
        check_slurm_options(["array=1-3"])
    assert check_slurm_options(["partition=gpu", "exclusive"]) == ("--partition=gpu", "--exclusive")
    assert grouped("abcde", 2) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_peer_that_is_no_dask_scheduler_is_refused_in_bounded_time(tmp_path, monkeypatch):
    from flowsim.sweep import dask

    released = threading.Event()

    def mute(*_, **__):
        released.wait(60)

    def garbled(*_, **__):
        raise MemoryError("Unable to allocate 3.07 EiB")

    monkeypatch.setattr(dask, "_ANSWERS", 0.05)
    for client, said in ((mute, "it says nothing within 0.1 s"), (garbled, "Unable to allocate")):
        monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=client))
        with pytest.raises(PlaceError, match=f"the Dask scheduler tcp://h:1 does not answer: {said}"):
            place("dask=tcp://h:1", Sweep(tmp_path, [], {}), Options())
    released.set()


@pytest.mark.slow
def test_a_sweep_runs_goes_on_and_is_collected(tmp_path):
    """A member that ends its process fails alone; a second sweep does the rest, and what is done stays as it is."""
    (tmp_path / "e.yaml").write_text(SOURCE)
    (tmp_path / "deadly.py").write_text(
        "import os, pathlib, jax, flowsim\n"
        "@flowsim.kind('loss', 'deadly')\n"
        "class Deadly(flowsim.config.Kind):\n"
        "    'Ends its process, unless a file says that it must not.'\n"
        "    kills: bool = False\n"
        "    def build(self, context):\n"
        "        if self.kills and not context.path('spare').exists(): os.abort()\n"
        "        return lambda prediction, label: jax.numpy.logaddexp(0.0, -label * prediction)\n"
    )
    arguments = ["e.yaml", "--plugin", "deadly.py", "loss.kind=deadly", "loss.kills=[false,true]", "--out", "s"]

    def run(*more):
        command = [sys.executable, "-m", "flowsim", "sweep", *more, "--jobs", "1", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done, json.loads(done.stdout)

    done, document = run(*arguments)
    assert done.returncode == 1
    assert (document["done"], document["failed"]) == (1, 1)
    assert "SIGABRT" in done.stderr
    (first,) = (tmp_path / "s").glob("members/*/summary.json")
    before = first.stat()
    (tmp_path / "spare").touch()
    done, document = run("--resume", "s")
    assert done.returncode == 0, done.stderr
    assert document["done"] == 2
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    sweep = Sweep.read(tmp_path / "s")
    collect(sweep, states(sweep))
    with xarray.open_dataset(tmp_path / "s" / "sweep.nc") as dataset:
        assert dataset["loss"].dims == ("time", "loss.kills")
        assert np.isfinite(dataset["loss"].values).all()
