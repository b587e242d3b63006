"""The three places on the real things: a Slurm of one node, a Dask cluster of three processes, kills. All slow."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from flowsim.sweep import Sweep

from . import sweeping
from .slurm import cluster
from .sweeping import MEMBERS, SOURCE, assert_same, assert_same_sweeps, environment, flowsim, wait_until_done

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def reference(tmp_path_factory, cache):
    """The sweep on `local`."""
    return sweeping.make_reference(tmp_path_factory.mktemp("reference"), environment(cache))


@pytest.fixture(scope="module")
def slurm(tmp_path_factory, cache):
    """The environment of a Slurm whose arrays have ten tasks at most."""
    if reason := cluster.missing():
        pytest.skip(f"no Slurm: {reason}")
    with cluster.Cluster(tmp_path_factory.mktemp("slurm"), array=11) as running:
        yield environment(cache) | {key: running.environment[key] for key in ("SLURM_CONF", "PATH")}


def test_slurm_is_the_same(tmp_path, reference, slurm):
    source, folder = tmp_path / "e.yaml", tmp_path / "s"
    source.write_text(SOURCE)
    flowsim("sweep", source, "--out", folder, "--on", "slurm", "--per-task", "2", env=slurm)
    assert len(list((folder / "jobs").iterdir())) == 2  # 12 tasks, 10 to an array
    wait_until_done(folder, slurm, 1200)
    assert_same_sweeps(folder, reference)


def test_preempted_tasks_go_on(tmp_path, reference, slurm):
    """More urgent jobs take the node three times: the tasks are requeued, and their members resume."""
    source, folder = tmp_path / "e.yaml", tmp_path / "s"
    source.write_text(SOURCE)
    flowsim("sweep", source, "--out", folder, "--on", "slurm", "--per-task", "4", env=slurm)
    urgent = ["sbatch", "--wait", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]
    for _ in range(3):
        sweeping.wait_until_running(folder, slurm, 60)
        subprocess.run(urgent, env=slurm, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    wait_until_done(folder, slurm, 600)
    jobs = subprocess.run(["scontrol", "show", "job"], env=slurm, check=True, capture_output=True, text=True).stdout
    assert sum(map(int, re.findall(r"Restarts=(\d+)", jobs))) >= 3
    assert_same_sweeps(folder, reference)


def test_slurm_says_what_it_does_not_take(tmp_path, slurm):
    source = tmp_path / "e.yaml"
    source.write_text(SOURCE)
    arguments = ["sweep", source, "--out", tmp_path / "s", "--on", "slurm", "--slurm", "partition=none"]
    done = flowsim(*arguments, env=slurm, check=False)
    assert done.returncode == 2
    assert "0 of 24 members were submitted; sbatch refused" in done.stderr
    assert sweeping.status(tmp_path / "s", slurm)["waiting"] == MEMBERS


def test_dask_is_the_same(tmp_path, reference, cache):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: flowsim[dask]")
    source = tmp_path / "e.yaml"
    source.write_text(SOURCE)
    # workers in processes of this test's own environment, as `dask worker` would start them
    env = environment(cache)
    with pytest.MonkeyPatch.context() as patch:
        for key in ("PYTHONPATH", *(key for key in env if key.startswith("JAX_"))):
            patch.setenv(key, env[key])
        with distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as running:
            address = f"dask={running.scheduler_address}"
            flowsim("sweep", source, "--out", tmp_path / "s", "--on", address, env=env)
    assert_same_sweeps(tmp_path / "s", reference)


def test_local_is_the_same_as_single_runs(tmp_path, reference, cache):
    sweep = Sweep.read(reference)
    source = tmp_path / "e.yaml"
    source.write_text(SOURCE.partition("sweep:")[0])
    for member in sweep.members.values():
        folder = tmp_path / member.id
        flowsim("run", source, *member.overrides, "--out", folder, "-q", env=environment(cache))
        (folder / "experiment.yaml").write_text(SOURCE)  # the file as given: a sweep's has the section `sweep`
        assert_same(folder, reference / "members" / member.id)


OF_SEEDS = f"seeds: 4\n{SOURCE.partition('sweep:')[0]}"


def assert_same_ensembles(folder, reference):
    """The members, and the folder over them."""
    assert_same_sweeps(folder, reference, 4)
    assert (folder / "trajectory.nc").read_bytes() == (reference / "trajectory.nc").read_bytes()
    assert sweeping.numbers(folder) == sweeping.numbers(reference)


@pytest.fixture(scope="module")
def in_process(tmp_path_factory, cache):
    """Four seeds in one process."""
    root = tmp_path_factory.mktemp("seeds")
    (root / "e.yaml").write_text(OF_SEEDS)
    flowsim("run", root / "e.yaml", "--out", root / "out", env=environment(cache))
    return root / "out"


@pytest.mark.parametrize("on", ["local", "dask"])
def test_seeds_are_the_same_elsewhere(tmp_path, in_process, cache, on):
    if on == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed: flowsim[dask]")
    (tmp_path / "e.yaml").write_text(OF_SEEDS)
    arguments = ["run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--on", on, "--jobs", 2]
    flowsim(*arguments, env=environment(cache))
    assert_same_ensembles(tmp_path / "out", in_process)


def test_seeds_are_the_same_on_slurm(tmp_path, in_process, slurm):
    (tmp_path / "e.yaml").write_text(OF_SEEDS)
    done = flowsim("run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--on", "slurm", env=slurm)
    assert f"flowsim run --resume {tmp_path / 'out'}" in done.stderr
    assert not (tmp_path / "out" / "summary.json").exists()
    wait_until_done(tmp_path / "out", slurm, 1200, members=4)
    flowsim("run", "--resume", tmp_path / "out", env=slurm)
    assert_same_ensembles(tmp_path / "out", in_process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_seeds_go_on_from_where_their_process_ended(tmp_path, in_process, cache, number):
    (tmp_path / "e.yaml").write_text(OF_SEEDS)
    command = [sys.executable, "-m", "flowsim", "run", tmp_path / "e.yaml", "--out", tmp_path / "out", "-q"]
    with subprocess.Popen(command, env=environment(cache), stderr=subprocess.PIPE, text=True) as running:
        while not list(tmp_path.glob("out/members/*/summary.json")):
            time.sleep(0.01)
            assert running.poll() is None, running.stderr.read()
        running.send_signal(number)
        said = running.communicate()[1]
    if number == signal.SIGTERM and running.returncode:  # else it had ended before
        assert running.returncode == 143
        assert f"flowsim run --resume {tmp_path / 'out'}" in said
    flowsim("run", "--resume", tmp_path / "out", env=environment(cache))
    assert_same_ensembles(tmp_path / "out", in_process)


@pytest.mark.parametrize("seed", [0])
def test_killed_at_random(tmp_path, reference, cache, seed):
    sweeping.kill_locally(tmp_path, reference, 16, environment(cache), seed)


def test_killed_at_random_on_slurm(tmp_path, reference, cache):
    if reason := cluster.missing():
        pytest.skip(f"no Slurm: {reason}")
    sweeping.kill_on_slurm(tmp_path, reference, 10, 0, cache)


def test_a_sweep_that_is_done_prints_no_commands(tmp_path):
    """It printed an empty line, which a queue runs."""
    source = tmp_path / "e.yaml"
    source.write_text(SOURCE.partition("sweep:")[0])
    command = ["sweep", source, "seed=[0,1]", "--out", tmp_path / "s", "--print-commands"]
    assert flowsim(*command, env=environment()).stdout.count("\n") == 2
    sweep = Sweep.read(tmp_path / "s")
    for name in sweep.members:
        sweep.folder(name).mkdir()
        (sweep.folder(name) / "meta.json").write_text("{}")
        (sweep.folder(name) / "summary.json").write_text(json.dumps({"complete": True, "final": {"loss": 1.0}}))
    done = flowsim(*command, env=environment())
    assert done.stdout == ""
    assert "there is nothing to run" in done.stderr


def test_ten_thousand_members(tmp_path):
    """Listed and looked at without their arrays: less than 1 GiB, and `status` in two seconds of CPU."""
    import resource

    source = tmp_path / "e.yaml"
    source.write_text(SOURCE.partition("sweep:")[0])
    axes = ["seed={count: 1000}", "model.width={linear: [8, 17, 10]}"]
    flowsim("sweep", source, *axes, "--out", tmp_path / "s", "--print-commands", env=environment())
    sweep = Sweep.read(tmp_path / "s")
    assert len(sweep.members) == 10_000
    for name in sweep.members:
        folder = sweep.folder(name)
        folder.mkdir()
        (folder / "meta.json").write_text("{}")
        (folder / "summary.json").write_text(json.dumps({"complete": True, "final": {"loss": 1.0}}))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "flowsim", "status", str(pathlib.Path(tmp_path / "s")), "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment()).stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found["done"] == 10_000
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0
    assert after.ru_maxrss < 2**20  # kilobytes
