"""Plugins: loaded only when named, and refused with a reason."""

import enum
import pathlib

import numpy as np
import pytest
import typer

import flowsim
from flowsim import plugin
from flowsim.cli.app import app
from flowsim.config import ExperimentErrors, Source, load, load_text, resolved_yaml
from flowsim.config.kind import forget
from flowsim.config.sections import OldSpelling
from flowsim.experiment import build
from flowsim.experiment.identity import inputs
from flowsim.experiment.run import run_experiment

MODULE = """
import equinox as eqx
import jax
import jax.numpy as jnp

import flowsim


class Bag(eqx.Module):
    w: jax.Array

    def __call__(self, tokens):
        return jnp.sum(self.w[tokens])


@flowsim.plugin.model("test_bag")
def bag(*, task, key, size=0.1):
    return Bag(size * jax.random.normal(key, (task.vocabulary,)))


@flowsim.plugin.event("test_first_word")
def first_word(t, model):
    return model.w[0] - 0.3


@flowsim.plugin.probe("test_norm")
def norm(model):
    return jnp.linalg.norm(model.w)


@flowsim.plugin.flow("test_slow")
def slow(*, rate):
    return flowsim.flows.time_scales(rates={"w": rate})
"""

EXPERIMENT = """name: own
task: {kind: cooccurrence, samples: 12, length: 5, vocabulary: 10}
model: {kind: plugin, use: test_bag, arguments: {size: 0.2}}
init: as_made
flow: {kind: plugin, use: test_slow, arguments: {rate: 0.5}, t1: 5.0}
events: [phase1_end, {kind: plugin, use: test_first_word, name: first}]
probes: [test_norm]
save: {points: 10}
certificate: false
figures: [loss]
"""


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::flowsim.config.sections.OldSpelling")
def test_the_old_spelling_is_still_read(tmp_path):
    path = written(tmp_path, "own.yaml", EXPERIMENT)
    with pytest.raises(ExperimentErrors) as caught:
        load(path)
    places = {problem.key for problem in caught.value.problems}
    assert places == {"model.use", "flow.use", "events[1].use", "probes[0].kind"}
    assert sum("--plugin FILE" in problem.message for problem in caught.value.problems) >= 3  # test_norm is near norm
    with pytest.warns(OldSpelling, match="kind: test_bag, …"), pytest.raises(ExperimentErrors):
        load(path)

    plugin.load([written(tmp_path, "own.py", MODULE)])
    plugin.load([tmp_path / "own.py"])  # once is enough
    experiment = load(path)
    outcome = run_experiment(Source(experiment, EXPERIMENT, tmp_path), tmp_path / "run")
    assert outcome.ok
    assert outcome.summary.events["first"].time == pytest.approx(2 * 0.6279378083, rel=1e-6)  # half the speed
    assert outcome.summary.final.scalars["test_norm"] > 0
    assert (tmp_path / "own.py").resolve() in plugin.sources()

    with pytest.raises(ExperimentErrors, match=r"model.use: must be one of .*test_bag.* did you mean 'test_bag'"):
        load(path, ["model.use=test_bga"])
    with pytest.raises(ExperimentErrors, match=r"its arrays are not the paper's"):
        load(path, ["init=theory"])


@pytest.mark.filterwarnings("ignore::flowsim.config.sections.OldSpelling")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("import flowsim\nflowsim.plugin.loss('a b')", "must be letters, digits"),
        ("import flowsim\nfor _ in range(2): flowsim.plugin.loss('test_twice')(abs)", "two classes register a loss"),
    ],
)
def test_modules_that_cannot_be_used(text, message, tmp_path):
    with pytest.raises(plugin.PluginError, match=message):
        plugin.load([written(tmp_path, "bad.py", text)])


def test_a_missing_module(tmp_path):
    with pytest.raises(plugin.PluginError, match="is not a Python file"):
        plugin.load([tmp_path / "none.py"])


def test_every_command_that_reads_an_experiment_takes_plugins():
    commands = typer.main.get_command(app).commands
    reading = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands.items()
        if any(parameter.name == "experiment" for parameter in command.params)
    }
    assert {"run", "check", "verify", "compare", "sweep"} <= set(reading)
    assert all("--plugin" in options for options in reading.values())


def test_a_module_beside_a_plugin_is_imported_and_belongs_to_the_run(tmp_path):
    (tmp_path / "beside.py").write_text("ANSWER = 42\n")
    (tmp_path / "with_another.py").write_text("from .beside import ANSWER\n\nassert ANSWER == 42\n")
    plugin.load([tmp_path / "with_another.py"])
    assert {path.name for path in plugin.files() if path.parent == tmp_path} == {"beside.py", "with_another.py"}
    assert [path.name for path in plugin.sources() if path.parent == tmp_path] == ["with_another.py"]


def test_plugins_of_one_name_are_told_apart_in_a_runs_identity(tmp_path, monkeypatch):
    """Only the last of them was looked at when a run was resumed."""
    paths = [tmp_path / "one" / "p.py", tmp_path / "two" / "p.py", tmp_path / "other.py"]
    monkeypatch.setattr(plugin, "files", lambda: tuple(paths))
    experiment = load(pathlib.Path(__file__).parent.parent / "experiments" / "figure1.yaml")
    assert inputs(experiment, tmp_path) == dict(zip(("one/p.py", "two/p.py", "other.py"), paths, strict=True))


class Shape(enum.Enum):
    FLAT = "flat"
    ROUND = "round"


@pytest.fixture
def fields():
    """A kind with fields of many types."""

    @flowsim.kind("problem", "of_many_fields")
    class OfManyFields(flowsim.config.Kind):
        """Has fields."""

        shape: Shape = Shape.FLAT
        rate: float | None = 5.0
        count: int | None = None
        either: int | float = 1
        sizes: list[int]
        pairs: dict[str, tuple[int, float]]

    yield lambda text: load_text(f"name: x\nproblem: {{kind: of_many_fields, {text}}}\nflow: {{t1: 1.0}}", origin="e")
    forget("problem", "of_many_fields")


def test_fields_of_every_type_are_written_out_and_read_again(fields):
    """An explicit null was left out of what members of `seeds` and resumed runs are made from, and became the default;
    an enumeration ended in a traceback; whole numbers in a list could not be written as floats."""
    given = fields("shape: round, rate: null, count: 2.0, either: 2.0, sizes: [1.0e3], pairs: {a: [1, 2.0]}")
    again = load_text(resolved_yaml(given), origin="e").problem
    assert again == given.problem
    assert (again.shape, again.rate, again.count, again.sizes, again.pairs) == (
        Shape.ROUND, None, 2, [1000], {"a": (1, 2.0)}
    )  # fmt: skip
    assert isinstance(again.either, float)
    assert load_text(resolved_yaml(fields("sizes: [], pairs: {}")), origin="e").problem.shape == Shape.FLAT
    with pytest.raises(ExperimentErrors, match="one of flat, round, got rund; did you mean 'round'"):
        fields("shape: rund, sizes: [], pairs: {}")


def test_a_loss_that_is_not_for_the_labels_of_a_plugins_task_is_refused(tmp_path):
    """Numbers were given the logistic loss in silence."""

    @flowsim.kind("task", "of_numbers")
    class OfNumbers(flowsim.config.Kind):
        def build(self, context):
            return flowsim.tasks.from_arrays(np.ones((4, 2)), np.arange(4.0)[:, None], target="value")

    try:
        text = "task: of_numbers\nmodel: {kind: mlp, hidden: [3]}\nflow: {t1: 1.0}\n"
        with pytest.raises(ExperimentErrors, match="loss: must be squared for the task of_numbers"):
            build.problem(load_text(text, origin="x.yaml"), tmp_path)
        build.problem(load_text(text + "loss: squared\n", origin="x.yaml"), tmp_path)
    finally:
        forget("task", "of_numbers")
