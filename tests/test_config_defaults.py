"""Defaults that fit the task, names of other packages, events on probes, starts from runs, sweeps, devices."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import flowsim
from flowsim.config import ExperimentErrors, Source, load_text
from flowsim.config.schema.sweep import axes, values
from flowsim.experiment import build
from flowsim.experiment.run import run_experiment

WORDS = """task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 9}
model: {width: 8, neurons: 8}
flow: {t1: 2.0}
save: {points: 10}
certificate: false
figures: [loss]
"""
NUMBERS = """task: {kind: regression, samples: 12, features: 3}
model: {kind: deep_linear, hidden: [3]}
flow: {t1: 2.0}
"""


def given(*overrides, text=WORDS):
    return load_text(text, origin="folder/my first.run.yaml", overrides=overrides)


def messages(*overrides, text=WORDS):
    with pytest.raises(ExperimentErrors) as caught:
        given(*overrides, text=text)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_a_file_without_a_name_has_its_own():
    assert given().name == "my-first-run"
    assert given("name=other").name == "other"


def test_defaults_fit_the_labels():
    """Nobody who writes a regression hears of an event or a loss that was not written."""
    numbers = given(text=NUMBERS)
    assert (numbers.events, numbers.loss.kind) == ((), "squared")
    words = "task={kind: next_token, samples: 8, length: 4, vocabulary: 5, predict: last}"
    language = given(words, "model={kind: transformer, width: 4, neurons: 4}")
    assert language.loss.kind == "cross_entropy"
    assert [event.kind for event in given().events] == ["phase1_end"]


def test_what_is_smooth_by_default():
    """With a kink the flow slides and no bound holds: who wants one names it."""
    layers = given("model={kind: mlp, hidden: [3]}", text=NUMBERS).model.activation
    blocks = given("model={kind: transformer, width: 4, neurons: 4}").model.activation
    own = inspect.signature(flowsim.models.MLP).parameters["activation"].default
    assert {layers, blocks, own} <= {"linear", "tanh", "gelu"}


@pytest.mark.parametrize(
    ("override", "key", "meant"),
    [
        ("loss=mse", "loss.kind", "squared"),
        ("loss=bce", "loss.kind", "logistic"),
        ("solver=rk45", "solver.kind", "dopri5"),
        ("solver=BDF", "solver.kind", "kvaerno5"),
        ("init=xavier", "init.kind", "kaiming_uniform"),
        ("optimizers=[]", "optimizers", "descent"),
    ],
)
def test_words_of_other_packages_are_understood(override, key, meant):
    assert f"did you mean '{meant}'?" in messages(override)[key]


@pytest.mark.parametrize("epsilon", ["0", "-0.1", "1"])
def test_attention_moves_by_something(epsilon):
    assert "events[0].epsilon" in messages(f"events=[{{kind: attention_moves, epsilon: {epsilon}}}]")


def test_descent_has_one_noun_and_reads_the_old_one():
    assert given("discrete=[{learning_rate: 0.1, steps: 3}]") == given("descent=[{learning_rate: 0.1, steps: 3}]")
    assert given("descent=[{learning_rate: 0.1, steps: 3}]", text=WORDS + "discrete: []\n").descent[0].steps == 3
    assert "descent[0].steps" in messages("descent=[{learning_rate: 0.1}]")
    assert "discrete[0].steps" in messages("discrete=[{learning_rate: 0.1}]")
    assert (
        "only adamw" in messages("descent=[{learning_rate: 1, steps: 1, weight_decay: 1}]")["descent[0].weight_decay"]
    )


@pytest.mark.slow
def test_adamw_is_optaxs(tmp_path):
    """Decoupled weight decay alone differs from Adam's steps: two runs end apart by about η λ steps."""
    import jax
    import optax

    from flowsim.experiment.descent import take
    from flowsim.records import Status

    run = "{optimizer: adamw, learning_rate: 0.01, steps: 5, weight_decay: 0.5, against_flow: false}"
    experiment = given(f"descent=[{run}]")
    problem = build.problem(experiment, tmp_path)
    (found,) = take(experiment, problem, Status("done", 2.0, ""))
    optimizer = optax.adamw(0.01, weight_decay=0.5)
    parameters = problem.parameters
    state = optimizer.init(parameters)
    for _ in range(5):
        updates, state = optimizer.update(jax.grad(problem.risk)(parameters), state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    for ours, theirs in zip(jax.tree.leaves(found.descent.parameters), jax.tree.leaves(parameters), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_an_event_on_a_probe_and_a_start_from_a_run(tmp_path):
    """The norm of W_V crosses where its probe says; another run starts where that one ended."""
    events = "events=[{kind: crossing, name: grown, probe: {kind: norm, of: W_V}, value: 1.7}]"
    experiment = given(events, "probes=[{kind: norm, of: W_V}]", "save={points: 60, spacing: linear}")
    first = run_experiment(Source(experiment, WORDS, tmp_path), tmp_path / "first")
    time = first.summary.events["grown"].time
    dataset = first.run.result.dataset
    (name,) = [key for key in dataset if key.startswith("norm")]
    assert np.interp(time, dataset["time"], dataset[name]) == pytest.approx(1.7, abs=1e-4)

    text = WORDS + "init: {kind: run, path: first}\n"
    start = load_text(text, origin="e.yaml", folder=tmp_path)
    problem = build.problem(start, tmp_path)
    np.testing.assert_array_equal(problem.parameters.W_V, first.run.result.model.W_V)
    with pytest.raises(ExperimentErrors, match="does not exist"):
        load_text(text.replace("first", "none"), origin="e.yaml", folder=tmp_path)
    with pytest.raises(ExperimentErrors, match=r"init.path: first: W.* has shape"):
        build.problem(load_text(text, origin="e.yaml", overrides=["model.width=6"], folder=tmp_path), tmp_path)


def test_one_number_of_a_probe_makes_an_event(tmp_path):
    sizes = "events=[{kind: crossing, probe: {kind: sharpness, count: 2}}]"
    experiment = given(sizes)
    with pytest.raises(ExperimentErrors, match="choose an `entry`"):
        build.prepared(experiment, build.problem(experiment, tmp_path), tmp_path)
    assert messages("events=[{kind: crossing, probe: {kind: norm, of: V}}]")["events[0].probe.of"]
    assert "did you mean 'norm'" in messages("events=[{kind: crossing, probe: nrm}]")["events[0].probe.kind"]


def test_figures_have_a_look():
    figure = given("figures=[{kind: loss, time_axis: linear, width: page, seeds: lines}]").figures[0]
    assert figure.options() == {"time_axis": "linear", "width": "page", "seeds": "lines"}
    assert "linaer" in messages("figures=[{kind: loss, time_axis: linaer}]")["figures[0].time_axis"]


SWEEP = """sweep:
  model.width: [8, 16]
  init.sigma0: {log: [1.0e-3, 1.0, 4]}
  seed: {count: 3}
  together: {flow.t1: [10.0, 100.0], solver.rtol: [1.0e-8, 1.0e-6]}
"""


def test_axes_of_a_sweep():
    found = axes(given("seed=5", text=WORDS + SWEEP).sweep, seed=5)
    assert found[0] == {"model.width": (8, 16)}
    np.testing.assert_allclose(found[1]["init.sigma0"], [1e-3, 1e-2, 1e-1, 1.0], rtol=1e-15)
    assert found[2:] == [{"seed": (5, 6, 7)}, {"flow.t1": (10.0, 100.0), "solver.rtol": (1e-8, 1e-6)}]
    assert values({"linear": [0, 1, 5]}) == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert values({"log": [0.1, 0.3, 3]})[::2] == (0.1, 0.3)


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ("seed: 3", "must be a list of values, {log"),
        ("seed: []", "1 to 1000000 values"),
        ("seed: {count: 0}", "whole number from 1"),
        ("init.scale: {log: [0, 1, 3]}", "first and last > 0"),
        ("init.scale: {linear: [0, 1]}", "three numbers"),
        ("init.scale: {linear: [0, 1, 2.5]}", "whole n"),
        ("init..scale: [1]", "a key of the experiment"),
        ("together: {seed: [1, 2], flow.t1: [1]}", "equally many values"),
        ("name: [a, b]", "must not vary name"),
    ],
)
def test_wrong_axes_are_placed(axis, says):
    key, _, _ = axis.partition(":")
    found = messages(text=WORDS + f"sweep:\n  {axis}\n")
    assert says in found[f"sweep.{key}"], found


def test_more_devices_than_there_are(tmp_path):
    with pytest.raises(ExperimentErrors, match=r"devices.samples: asks for 4096 × 1 devices, and there"):
        build.problem(given("devices.samples=4096"), tmp_path)
    build.problem(given("devices={samples: 1, parameters: 1}"), tmp_path)
    assert given("evaluation.samples_at_once=all").evaluation.samples_at_once is None
    assert "must be >= 1" in messages("evaluation={samples_at_once: 0}")["evaluation.samples_at_once"]


def test_a_target_error_needs_a_certificate():
    assert "certificate: true" in messages("solver.target_error=1e-6")["solver.target_error"]
    assert given("solver.target_error=1e-6", "certificate=true").solver.target_error == 1e-6


def test_reading_and_checking_loads_no_jax(tmp_path):
    """The fence: experiment files are read, checked and documented without JAX and the parts."""
    (tmp_path / "e.yaml").write_text(WORDS)
    (tmp_path / "mine.py").write_text(
        "import flowsim\n@flowsim.kind('loss', 'mine')\nclass A(flowsim.config.Kind): pass\n"
    )
    code = (
        "import sys, contextlib, io; import flowsim.config; from flowsim.cli.app import app\n"
        "for args in (['check', 'e.yaml', '--plugin', 'mine.py'], ['new', '--list'], ['schema'], ['solvers']):\n"
        "    with contextlib.redirect_stdout(io.StringIO()): app(args, standalone_mode=False)\n"
        "from flowsim.config.json_schema import json_schema; json_schema()\n"
        "print([m for m in ('jax', 'equinox', 'diffrax', 'matplotlib', 'numpy', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]", done.stdout


@pytest.mark.parametrize("section", ["loss", "solver", "figures"])
def test_half_a_character_is_no_kind(section, tmp_path):
    r"""YAML can write the lone surrogate \ud800, which is no Unicode text."""
    value = '{kind: "\\ud800"}'
    found = messages(f"{section}=[{value}]" if section == "figures" else f"{section}={value}")
    assert any("must be one of" in message for message in found.values())
