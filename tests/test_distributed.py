"""One run on several devices: that of one device, to rounding. The devices are virtual ones of a CPU."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import flowsim
from flowsim.config import ExperimentErrors, load_text
from flowsim.distributed import processes
from flowsim.distributed.shard import _split
from flowsim.experiment.identity import identity

from .slurm import cluster

ROOT = pathlib.Path(__file__).parent.parent
EXPERIMENT = """
name: split
task: {kind: regression, samples: 8, features: 4, outputs: 4}
model: {kind: deep_linear, hidden: [4]}
init: {kind: kaiming_normal}
loss: squared
flow: {kind: gradient, t1: 1.0, reduction: none}
solver: {kind: tsit5, rtol: 1.0e-6}
certificate: false
figures: []
"""


def on(devices, *command, **options):
    """A Python process that sees so many devices."""
    seen = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=seen, **options)


def in_two(devices, *command, **options):
    """Two Python processes on the loopback, that see so many devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    seen = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        processes.ADDRESS: address,
        processes.NUMBER: "2",
    }
    return [
        subprocess.Popen(
            [sys.executable, *command], env={**seen, processes.INDEX: str(index)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )
        for index in (0, 1)
    ]  # fmt: skip


def ended(both):
    """What each of two processes said, once both have ended well."""
    said = [one.communicate(timeout=900) for one in both]
    for one, (_, errors) in zip(both, said, strict=True):
        assert one.returncode == 0, errors
    return said


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_eight_devices_are_one(number):
    """Steps, decisions, events and the certificate of a mesh of 4 × 2, of one process or of two, and what each device
    holds."""
    if number == 1:
        done = on(8, "-m", "tests.sharded", cwd=ROOT)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
    else:
        (first, _), (second, _) = ended(in_two(4, "-m", "tests.sharded", cwd=ROOT))
        assert "steps" not in second  # one of them speaks
        found = json.loads(first.splitlines()[-1])  # after what libraries print
    one, eight = found["one"], found["eight"]
    assert one["rejected"] > 0  # so that a refusal is among what agrees
    for what in ("steps", "rejected", "evaluations"):
        assert eight[what] == one[what]
    np.testing.assert_allclose(eight["parameters"], one["parameters"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(eight["events"]["loss_below"], one["events"]["loss_below"], rtol=1e-12)
    assert len(one["events"]["loss_below"]) == 1
    np.testing.assert_allclose(eight["certificate"], one["certificate"], rtol=1e-6)
    assert one["held"] == found["shapes"] == [[6, 4], [6], []]
    assert found["spread"] == {"tokens": [4, 4], "parameters": [[3, 4], [3], []]}
    assert eight["held"] == [[3, 4], [3], []]  # at the run's end, too


@pytest.mark.slow
def test_an_experiment_on_two_devices(tmp_path):
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    done = on(2, "-m", "flowsim", "run", "e.yaml", "devices.samples=2", "--out", "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "two" / "summary.json").read_text())
    assert summary["complete"]
    assert summary["final"]["time"] == 1.0
    assert summary["solver"]["rejected"] > 0


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one(tmp_path):
    """Both hear of a signal that one of them gets; what they left behind is resumed on one device."""
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    arguments = ["-m", "flowsim", "run", "e.yaml", "certificate=true", "solver.rtol=1e-9", "flow.t1=6.0"]
    plain = subprocess.run([sys.executable, *arguments, "--out", "one"], cwd=tmp_path, capture_output=True, text=True)
    assert plain.returncode == 0, plain.stderr

    both = in_two(1, *arguments, "devices.parameters=2", "--out", "two", cwd=tmp_path)
    while not (tmp_path / "two" / "meta.json").exists():
        time.sleep(0.05)
        assert all(one.poll() is None for one in both)
    both[0].send_signal(signal.SIGTERM)
    said = [one.communicate(timeout=600) for one in both]
    assert [one.returncode for one in both] == [128 + signal.SIGTERM] * 2, said
    assert not said[0][0]
    assert not said[1][0]
    assert "flowsim run --resume two" in said[0][1]
    assert "resume" not in said[1][1]

    refused = subprocess.run([sys.executable, "-m", "flowsim", "run", "--resume", "two"], cwd=tmp_path, text=True,
                             capture_output=True)  # fmt: skip
    assert refused.returncode == 2
    assert "asks for 1 × 2 devices, and there is 1: lower it" in refused.stderr
    again = [sys.executable, "-m", "flowsim", "run", "--resume", "two", "devices.parameters=1"]
    done = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = (safetensors.numpy.load_file(tmp_path / name / "parameters.safetensors") for name in ("one", "two"))
    bound = json.loads((tmp_path / "two" / "summary.json").read_text())["certificate"]["relative_error"]
    assert bound < 1e-7
    apart, size = (sum(np.sum((one[k] - other) ** 2) for k, other in what.items()) ** 0.5
                   for what in (two, dict.fromkeys(two, 0.0)))  # fmt: skip
    assert apart <= bound * size
    assert "devices: {samples: 1, parameters: 1}" in (tmp_path / "two" / "resolved.yaml").read_text()


@pytest.mark.slow
def test_a_step_of_slurm_is_one_run(tmp_path):
    if reason := cluster.missing():
        pytest.skip(f"no Slurm: {reason}")
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    with cluster.Cluster(tmp_path / "slurm") as running:
        command = ["srun", "--ntasks=2", sys.executable, "-m", "flowsim", "run", "e.yaml", "devices.samples=2"]
        done = subprocess.run([*command, "--out", "two"], cwd=tmp_path, env=running.environment, capture_output=True,
                              text=True, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "two\n"
    assert json.loads((tmp_path / "two" / "summary.json").read_text())["complete"]


def test_processes_say_which_they_are(monkeypatch):
    for name in processes.STEP:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(processes.ADDRESS, raising=False)
    assert not flowsim.distributed.initialize()  # none is named
    monkeypatch.setenv(processes.ADDRESS, "localhost:1")
    with pytest.raises(ValueError, match="JAX_NUM_PROCESSES must be a whole number where JAX_COORDINATOR_ADDRESS is"):
        flowsim.distributed.initialize()
    monkeypatch.setenv(processes.NUMBER, "2")
    monkeypatch.setenv(processes.INDEX, "2")
    with pytest.raises(ValueError, match="JAX_PROCESS_ID is 2 of JAX_NUM_PROCESSES = 2 processes: they are counted"):
        flowsim.distributed.initialize()


def test_alone_a_process_agrees_with_itself(tmp_path):
    assert flowsim.distributed.largest(3.0) == 3.0
    assert flowsim.distributed.first()
    with flowsim.distributed.own_folder(tmp_path) as own:
        assert own == tmp_path


def test_the_number_of_devices_is_not_what_a_run_is():
    """A run goes on on another number of them."""
    one, two = (load_text(EXPERIMENT + f"devices: {{samples: {n}}}\n", origin="split") for n in (1, 2))
    assert identity(one, ROOT) == identity(two, ROOT)


def regression(samples):
    task = flowsim.tasks.from_arrays(np.ones((samples, 2)), np.linspace(0, 2, samples)[:, None], target="value")
    model = flowsim.models.DeepLinear(sizes=(2, 1), key=jax.random.key(0))
    return flowsim.Problem(model, task, loss="squared")


def test_what_cannot_be_split_is_refused():
    plain = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(2**14))
    with pytest.raises(ValueError, match="8 samples cannot be split into 3 equal parts"):
        flowsim.distributed.shard(regression(8), samples=3)
    with pytest.raises(ValueError, match="without samples has none to split"):
        flowsim.distributed.shard(plain, samples=2)
    with pytest.raises(ValueError, match="no array of the parameters has an axis that 5 divides"):
        flowsim.distributed.shard(regression(8), parameters=5)
    with pytest.raises(ValueError, match="1 × 16384 devices are asked for"):
        flowsim.distributed.shard(plain, parameters=2**14)
    with pytest.raises(ValueError, match="parameters must be a whole number >= 1"):
        flowsim.distributed.shard(plain, parameters=0)


def test_seeds_have_devices_of_their_own():
    with pytest.raises(ExperimentErrors, match="must be 1 × 1 for several seeds"):
        load_text(EXPERIMENT + "seeds: 2\ndevices: {samples: 2}\n", origin="split")


@pytest.mark.parametrize(
    ("shape", "parts", "axes"),
    [((6, 4), 2, ("parameters",)), ((4, 6), 2, (None, "parameters")), ((3, 4), 2, (None, "parameters")),
     ((3, 5), 2, ()), ((), 2, ()), ((6, 4), 1, ())],
)  # fmt: skip
def test_the_largest_axis_that_can_be_split(shape, parts, axes):
    assert tuple(_split(shape, parts)) == axes
