"""One run on several devices: that of one device, to rounding. The devices are virtual ones of a CPU."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.config import ExperimentErrors, load_text
from flowsim.distributed.shard import _split

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


@pytest.mark.slow
def test_eight_devices_are_one():
    """Steps, decisions, events and the certificate of a mesh of 4 × 2, and what each device holds."""
    done = on(8, "-m", "tests.sharded", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
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
