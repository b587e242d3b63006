"""Loggers are told of every saved time, in order, with what was saved."""

import importlib.util
import json
import math
import pathlib
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

import flowsim
from flowsim import loggers
from flowsim.config import Source, load_text
from flowsim.config.problems import ExperimentErrors
from flowsim.experiment import build
from flowsim.experiment.run import run_experiment


def problem():
    return flowsim.Problem.from_loss(lambda p: 0.5 * jnp.sum(p["x"] ** 2), {"x": jnp.array([1.0, 2.0])})


def test_every_saved_time_in_order(tmp_path):
    seen = []
    told = loggers.each_row(
        lambda time, values: seen.append((time, values)), loggers.json_lines(tmp_path / "run.jsonl")
    )
    probes = {"both": lambda p: p["x"], "norm": lambda p: jnp.sum(p["x"] ** 2)}
    result = flowsim.simulate(problem(), t1=4.0, probes=probes, progress=told)
    assert [time for time, _ in seen] == result.dataset["time"].values.tolist()
    assert [values["norm"] for _, values in seen] == result.dataset["norm"].values.tolist()
    assert "both" not in seen[0][1]  # it has an axis
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert lines == [{"time": time, **values} for time, values in seen]


def test_what_is_not_finite_is_null(tmp_path):
    log = loggers.json_lines(tmp_path / "x.jsonl")
    log(0.0, {"a": math.nan, "b": math.inf, "c": 1.0})
    assert json.loads((tmp_path / "x.jsonl").read_text()) == {"time": 0.0, "a": None, "b": None, "c": 1.0}


def test_weights_and_biases_and_mlflow_get_the_time_as_a_value():
    sent, defined = [], []
    run = SimpleNamespace(define_metric=lambda *a, **k: defined.append((a, k)), log=sent.append)
    log = loggers.wandb(run)
    log(0.5, {"loss": 2.0})
    assert sent == [{"time": 0.5, "loss": 2.0}]
    assert (("*",), {"step_metric": "time"}) in defined

    metrics = []
    client = SimpleNamespace(log_metric=lambda *a, **k: metrics.append((*a, k["step"])))
    log = loggers.mlflow(client, "id")
    log(0.5, {"loss": 2.0})
    log(0.7, {"loss": 1.0})
    assert metrics == [("id", "time", 0.5, 0), ("id", "loss", 2.0, 0), ("id", "time", 0.7, 1), ("id", "loss", 1.0, 1)]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    loggers.tensorboard(tmp_path / "board")(0.5, {"loss": 2.0})
    assert list((tmp_path / "board").glob("events*"))


TEXT = """name: small
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 9}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
flow: {kind: gradient, t1: 1.0}
events: []
certificate: false
figures: []
log: [{kind: json_lines, path: mine.jsonl}]
"""


@pytest.mark.slow
def test_from_an_experiment_file(tmp_path):
    experiment = load_text(TEXT, origin="e.yaml", folder=tmp_path)
    run_experiment(Source(experiment, TEXT, tmp_path), tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text().splitlines()]
    data = flowsim.load(tmp_path / "r").dataset
    assert [line["time"] for line in lines] == data["time"].values.tolist()
    assert [line["loss"] for line in lines] == data["loss"].values.tolist()


NEEDS = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}


@pytest.mark.parametrize("kind", NEEDS)
def test_a_library_that_is_not_there_is_one_sentence(kind, monkeypatch):
    """Before anything runs, at its line, with the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExperimentErrors) as refused:
        load_text(f"flow: {{t1: 1.0}}\nlog:\n  - {{kind: {kind}}}\n", origin="e.yaml", folder=pathlib.Path())
    (problem,) = [one for one in refused.value.problems if one.key.startswith("log")]
    assert (problem.place.line, problem.key) == (3, "log[0].kind")
    assert problem.message.endswith(f"is not installed: python -m pip install {NEEDS[kind]}.")


def test_what_a_logger_says_against_a_run_is_one_sentence(tmp_path):
    experiment = load_text(TEXT.replace("mine.jsonl", "nowhere/mine.jsonl"), origin="e.yaml", folder=tmp_path)
    with pytest.raises(ExperimentErrors, match=r"log\[0\]: json_lines cannot be opened: .*nowhere"):
        build.loggers(experiment, problem(), tmp_path)
