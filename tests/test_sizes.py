"""What a run weighs, and what is refused for it."""

import json
import pathlib

import jax
import jax.numpy as jnp
import pytest

from flowsim import flows
from flowsim.config import Source, load, load_text
from flowsim.config.problems import ExperimentErrors
from flowsim.experiment import build, sizes
from flowsim.experiment.run import run_experiment

from . import killing
from .test_cli import flowsim as command

LARGE = pathlib.Path(__file__).parent.parent / "experiments" / "large.yaml"


@pytest.mark.slow
def test_a_dry_run_tells_sizes_and_writes_nothing(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(killing.SOURCE)
    done = command("run", file, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["parameters_bytes"] == 8 * (8 * 8 + 3 * 8 * 10)
    assert told["state_bytes"] <= told["parameters_bytes"] < told["carry_bytes"]
    assert told["segments_bytes"] > 3000 * 8 * 20
    assert told["peak_estimate_bytes"] > told["segments_bytes"]
    assert list(tmp_path.iterdir()) == [file]


def test_weights_that_cannot_fit_are_refused_before_they_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "available", lambda: 2e9)
    large = killing.SOURCE.replace("width: 8, neurons: 8", "width: 100000, neurons: 1000")
    with pytest.raises(ExperimentErrors, match=r"model\.width.* makes a run of about 3\.6 GB, and there are 2\.0 GB"):
        killing.run(tmp_path / "run", source=large)
    assert not (tmp_path / "run").exists()


def test_rows_that_cannot_fit_are_refused_by_their_key(tmp_path, monkeypatch):
    experiment = load_text(killing.SOURCE.replace("points: 3000", "points: 100000"), origin="e.yaml", folder=tmp_path)
    problem = build.problem(experiment, tmp_path)
    measured = sizes.measure(problem, build.prepared(experiment, problem))
    sizes.refuse_what_cannot_fit(measured)
    monkeypatch.setattr(sizes, "available", lambda: 1.11e9)
    with pytest.raises(ExperimentErrors, match=r"save\.points"):
        sizes.refuse_what_cannot_fit(measured)


def test_what_a_gradient_holds_of_the_samples_is_counted(tmp_path, monkeypatch):
    """It grows with the samples that are evaluated at once, and is refused by that key where it is too much."""
    source = killing.SOURCE.replace("samples: 12", "samples: 3000")
    found = {}
    for at_once in (500, 1000, "all"):
        overrides = [f"evaluation.samples_at_once={at_once}"]
        experiment = load_text(source, origin="e.yaml", folder=tmp_path, overrides=overrides)
        problem = build.problem(experiment, tmp_path)
        found[at_once] = sizes.measure(problem, build.prepared(experiment, problem))
    assert found[1000].activations == pytest.approx(2 * found[500].activations, rel=0.1)
    assert found["all"].activations > 2.9 * found[1000].activations
    assert found["all"].step - found["all"].activations == found[500].step - found[500].activations
    monkeypatch.setattr(sizes, "for_arrays", lambda: found["all"].step - 1)
    sizes.refuse_what_cannot_fit(found[500])
    with pytest.raises(ExperimentErrors, match=r"evaluation\.samples_at_once.* makes a run of about"):
        sizes.refuse_what_cannot_fit(found["all"])


@pytest.fixture
def double_afterwards():
    """An experiment in float32 sets the precision of its process."""
    yield
    jax.config.update("jax_enable_x64", True)


_SMALL = (
    "task.samples=8", "task.length=6", "task.vocabulary=8", "model.width=8", "model.neurons=16", "model.heads=2",
    "events=[{kind: loss_below, value: 1.7}]", "save.points=5", "flow.t1=1.0", "figures=[]",
)  # fmt: skip


@pytest.mark.parametrize("overrides", [_SMALL, pytest.param((), marks=pytest.mark.slow)], ids=["small", "whole"])
def test_the_experiment_of_a_large_model(overrides, tmp_path, double_afterwards):
    experiment = load(LARGE, overrides)
    outcome = run_experiment(Source(experiment, LARGE.read_text("utf8"), LARGE.parent), tmp_path / "run")
    assert outcome.ok
    arrays = jax.tree.leaves(outcome.run.problem.parameters)
    assert {x.dtype for x in arrays} == {jnp.dtype("float32")}
    assert isinstance(outcome.run.prepared.plan.flow, flows.Joined)
    summary = outcome.summary.model_dump()
    assert 0 < summary["certificate"]["relative_error"] < 2e-3
    if not overrides:
        assert sum(x.size for x in arrays) > 1e6
        assert summary["status"] == "event"
        assert summary["final"]["loss"] == pytest.approx(1.7, rel=1e-5)
