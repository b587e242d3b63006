"""What an experiment may say: every rule, with the message that a wrong value gets."""

import dataclasses
import math

import pydantic
import pytest

from flowsim import plot
from flowsim.config import Experiment, ExperimentErrors, load_text
from flowsim.config import templates as templates_of_new
from flowsim.config.kinds.event import MarginReached, Phase1End
from flowsim.config.kinds.flow import GradientFlow
from flowsim.config.kinds.loss import LogisticLoss
from flowsim.config.kinds.model import CooccurrenceTransformer
from flowsim.config.kinds.task import CooccurrenceTask
from flowsim.config.schema import GivenTimes, LinearTimes
from flowsim.solver_names import BY_KIND, SMALLEST_RTOL, SOLVERS

from .figure_data import discrete

GOOD = """name: x
task: {kind: cooccurrence, samples: 12, length: 5, vocabulary: 64}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
flow: {kind: gradient, t1: 10.0}
"""


def given(*overrides: str) -> Experiment:
    return load_text(GOOD, origin="e.yaml", overrides=overrides)


def messages(*overrides: str) -> dict[str, str]:
    with pytest.raises(ExperimentErrors) as caught:
        given(*overrides)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_defaults():
    experiment = given()
    assert (experiment.seed, experiment.precision, experiment.seeds) == (0, "float64", ())
    assert experiment.loss == LogisticLoss()
    assert experiment.init.kind == "kaiming_uniform"
    assert experiment.events == (Phase1End(),)
    assert (experiment.solver.kind, experiment.solver.rtol, experiment.solver.atol) == ("auto", 1e-8, 1e-10)
    assert experiment.save.first == 1e-3
    assert experiment.certificate.method == "auto"
    assert experiment.discrete == ()
    assert tuple(figure.kind for figure in experiment.figures) == ("loss", "attention", "alignment", "balance")


def test_defaults_that_depend_on_other_sections():
    single = given("precision=float32")
    assert (single.solver.rtol, single.solver.atol) == (1e-5, 1e-7)
    assert given("flow.t1=1e-3").save.first == 1e-6
    assert given("seed=5", "seeds=3").seeds == (5, 6, 7)


def test_short_forms():
    assert given("loss=squared") == given("loss={kind: squared}")
    assert given("solver=tsit5") == given("solver={kind: tsit5}")
    assert given("init=theory") == given("init={kind: theory}")
    assert given("events=[phase1_end]") == given("events=[{kind: phase1_end}]")
    assert given("certificate=true") == given("certificate={method: auto}")
    assert given("certificate=false").certificate.method == "none"
    assert given("save={times: [0, 1]}") == given("save={spacing: given, times: [0.0, 1.0]}")
    assert given("save={points: 7}") == given("save={spacing: log, points: 7}")
    assert isinstance(given("save={spacing: linear}").save, LinearTimes)


def test_whole_numbers_may_be_written_as_floats():
    experiment = given(
        "model.width=1.0e9", "model.neurons=1e2", "init=gaussian", "init={kind: gaussian, sigma0: 0, sigma1: 1}"
    )
    assert experiment.model.width == 10**9
    assert type(experiment.model.width) is int
    assert type(experiment.model.neurons) is int


@pytest.mark.parametrize("text", [".inf", "inf", ".Inf", '"inf"'])
def test_infinite_width(text):
    assert given(f"model.width={text}", "init=theory").model.width == math.inf


@pytest.mark.parametrize(
    ("override", "key", "says"),
    [
        ("name=../x", "name", "names a folder"),
        ("name=a..b", "name", "names a folder"),
        ("name=.hidden", "name", "names a folder"),
        ("name=a/b", "name", "names a folder"),
        ('name="a\\nb"', "name", "names a folder"),
        ('name=""', "name", "names a folder"),
        (f"name={'x' * 101}", "name", "at most 100 characters"),
        ("name=3", "name", "must be text, got 3"),
        ('notes="\\e[2J"', "notes", "without control characters"),
        ("seed=-1", "seed", "must be >= 0, got -1"),
        ("seed=1.5", "seed", "whole number, got 1.5"),
        ("seed=4294967296", "seed", "must be < 4.29"),
        ("seeds=0", "seeds", "how many seeds"),
        ("seeds=[1, 1]", "seeds", "different"),
        ("seeds=[-1]", "seeds[0]", "must be >= 0"),
        ("precision=float16", "precision", "one of float64, float32, got float16"),
        ("task.samples=0", "task.samples", "must be >= 1"),
        ("task.samples=13", "task.samples", "divisible by 6 for groups of exact size, got 13: take 12"),
        ("task.group_sizes=[6, 3, 3]", "task.group_sizes", "4 numbers with sum 12"),
        ("task.group_sizes=[6, 3, 3, -1]", "task.group_sizes[3]", "must be >= 0"),
        ("task.length=2", "task.length", "must be at least 3"),
        ("task.vocabulary=3", "task.vocabulary", "must be at least 4"),
        ("task.targets=1", "task.targets", "must be >= 2"),
        ("task.targets=5", "task.length", "must be at least 6"),
        ("task.distinct_words=1", "task.distinct_words", "true or false, got 1"),
        ("task.samples=1e9", "task.samples", "at most 1e+08"),
        ("task.kind=coocurrence", "task.kind", "did you mean 'cooccurrence'?"),
        ("task={kind: file, path: x.npz, vocabulary: 2}", "task.vocabulary", "must be at least 3"),
        ('task={kind: file, path: "", vocabulary: 9}', "task.path", "must not be empty"),
        ('task={kind: file, path: "a\\0", vocabulary: 9}', "task.path", "control characters"),
        ('model.width="128"', "model.width", 'whole number >= 1, or .inf, got "128"'),
        ("model.width=true", "model.width", "whole number >= 1, or .inf, got true"),
        ("model.width=-8", "model.width", "got -8"),
        ("model.width=1.5", "model.width", "got 1.5"),
        ("model.width=-.inf", "model.width", "got -.inf"),
        ("model.width=.nan", "model.width", "got .nan"),
        ("model.width=1e999", "model.width", "largest float64"),
        ("model.width=1e16", "model.width", "at most 1e15"),
        ("model.width=.inf", "model.width", "Gaussian init"),
        ("model.width=1e12", "model.width", "Gaussian init"),
        ("model.neurons=.inf", "model.neurons", "whole number"),
        ("model.wdith=3", "model.wdith", "did you mean 'width'?"),
        ("init={kind: gaussian, sigma1: 1}", "init.sigma0", "is missing"),
        ("init={kind: gaussian, sigma0: -1, sigma1: 1}", "init.sigma0", "must be >= 0"),
        ("init={kind: theory, c0: 0}", "init.c0", "must be > 0"),
        ("init={kind: kaiming_uniform, scale: 0}", "init.scale", "must be > 0"),
        ("init={kind: kaiming_uniform, sigma0: 1}", "init.sigma0", "is not a key here"),
        ("init={scale: 2}", "init.kind", "choose one of kaiming_uniform"),
        ("init=file", "init.path", "is missing"),
        ("loss=logstic", "loss.kind", "did you mean 'logistic'?"),
        ("loss=3", "loss", "`key: value` lines"),
        ("flow.t1=0", "flow.t1", "must be > 0, got 0"),
        ("flow.t1=.inf", "flow.t1", "finite number, got .inf"),
        ("flow.t1=.nan", "flow.t1", "finite number"),
        ("flow.t1=", "flow.t1", "must be a number, got nothing"),
        ("flow={kind: gradient}", "flow.t1", "is missing"),
        ("flow.kind=gradeint", "flow.kind", "did you mean 'gradient'?"),
        ("flow.reduction=gramm", "flow.reduction", "did you mean 'gram'?"),
        ("solver.kind=eluer", "solver.kind", "did you mean 'euler'?"),
        ("solver.kind=[1]", "solver.kind", "got a list"),
        ("solver.rtol=-1e-3", "solver.rtol", "must be > 0, got -1e-3"),
        ("solver.rtol=1e-14", "solver.rtol", "at least 2.5e-14 in float64"),
        ("solver.max_steps=0", "solver.max_steps", "must be >= 1"),
        ("solver.kind=euler", "solver.step", "euler has no error estimate"),
        ("solver={kind: heun, step: 11}", "solver.step", "at most flow.t1"),
        ("solver={kind: heun, step: 1e-7}", "solver.step", "raise max_steps"),
        ("solver={step: 0.1}", "solver.step", "a solver by name"),
        ("solver={kind: exponential, compensated: true}", "solver.compensated", "an explicit or a stabilized method"),
        ("events=[margin_reached]", "events[0].margin", "is missing"),
        ("events=[phase1_end, phase1_end]", "events[1].name", "must be unique"),
        ("events=[{kind: phase1_end, name: a b}]", "events[0].name", "start with a letter"),
        ("events=[{kind: phase1_end, terminal: 1}]", "events[0].terminal", "true or false"),
        ("events=[{kind: phase1_end, direction: sideways}]", "events[0].direction", "up, down, both"),
        ("events=[{kind: attention_moves, epsilon: 1}]", "events[0].epsilon", "must be < 1"),
        ("events=[{kind: margin_reached, margin: .inf}]", "events[0].margin", "finite"),
        ("events=[phase1_ends]", "events[0].kind", "did you mean 'phase1_end'?"),
        ("events=[3]", "events[0]", "`key: value` lines"),
        ("events=phase1_end", "events", "must be a list"),
        ("save={points: 1}", "save.points", "must be >= 2"),
        ("save={points: 100001}", "save.points", "must be <= 100000"),
        ("save={first: 10}", "save.first", "must be below flow.t1 = 10"),
        ("save={times: []}", "save.times", "at least 1"),
        ("save={times: [1, 1]}", "save.times[1]", "must be above the time before it, 1"),
        ("save={times: [0, 11]}", "save.times[1]", "at most flow.t1 = 10"),
        ("save={times: [-1]}", "save.times[0]", "must be >= 0"),
        ("save={times: [1], points: 3}", "save.points", "is not a key here"),
        ("save={spacing: linear, first: 1}", "save.first", "is not a key here"),
        ("save={spacing: linaer}", "save.spacing", "did you mean 'linear'?"),
        ("certificate=maybe", "certificate", "true, false, or"),
        ("certificate={method: grams}", "certificate.method", "did you mean 'gram'?"),
        ("discrete=[{optimizer: sdg, learning_rate: 1, steps: 1}]", "discrete[0].optimizer", "did you mean 'sgd'?"),
        ("discrete=[{optimizer: sgd, steps: 1}]", "discrete[0].learning_rate", "is missing"),
        ("discrete=[{learning_rate: 1, steps: 1.5}]", "discrete[0].steps", "whole number"),
        ("discrete=[{learning_rate: 1, steps: 1, momentum: 1}]", "discrete[0].momentum", "must be < 1"),
        ("discrete=[{optimizer: adam, learning_rate: 1, steps: 1, momentum: 0.9}]", "discrete[0].momentum", "only sgd"),
        ("figures=[loss, los]", "figures[1].kind", "did you mean 'loss'?"),
        ("figures=[loss, loss]", "figures[1]", "listed once"),
        ("width=3", "width", "did you mean model.width?"),
        ("wdith=3", "wdith", "did you mean model.width?"),
        ("sovler=tsit5", "sovler", "did you mean 'solver'?"),
    ],
)
def test_wrong_values_are_refused_with_what_is_allowed(override, key, says):
    found = messages(override)
    assert set(found) == {key}, found
    assert says in found[key]


def test_distinct_words_need_a_vocabulary_for_every_random_position():
    assert "at least 35" in messages("task.distinct_words=true", "task.vocabulary=34")["task.vocabulary"]
    assert given("task.distinct_words=true", "task.vocabulary=35").task.distinct_words
    drawn = ("task.distinct_words=true", "task.exact_groups=false")
    assert "at least 51 for distinct_words (up to 48" in messages(*drawn, "task.vocabulary=50")["task.vocabulary"]


def test_distinct_words_ask_for_what_the_task_asks_for():
    """The rule is written twice, here without JAX and in the task itself; both must say the same."""
    from flowsim.tasks import exact_sizes, random_positions

    for samples, length, targets in ((12, 5, 2), (60, 5, 2), (16, 7, 3)):
        need = random_positions(exact_sizes(samples, targets), length) + targets + 1
        sizes = (
            f"task.samples={samples}",
            f"task.length={length}",
            f"task.targets={targets}",
            "task.distinct_words=true",
        )
        assert given(*sizes, f"task.vocabulary={need}").task.vocabulary == need
        assert f"at least {need} " in messages(*sizes, f"task.vocabulary={need - 1}")["task.vocabulary"]


def test_rtol_floor_of_float32_and_where_it_comes_from():
    assert "float32" in messages("precision=float32", "solver.rtol=1e-6")["solver.rtol"]
    assert (
        given("precision=float32", f"solver.rtol={SMALLEST_RTOL['float32']!r}").solver.rtol == SMALLEST_RTOL["float32"]
    )


def test_wide_models_are_only_drawn_in_law():
    assert given("model.width=1e9", "init=theory").model.width == 10**9
    assert given("model.width=1e9", "init=kaiming_normal", "flow.reduction=gram").flow.reduction == "gram"
    assert set(messages("model.width=1e9", "init=theory", "flow.reduction=none")) == {"flow.reduction"}
    assert set(messages("model.width=1e9", "init={kind: theory, balanced: true}")) == {"init.balanced"}


def test_checks_between_sections_run_even_if_another_section_is_wrong():
    found = messages("loss=logstic", "task.samples=13", "solver.rtol=1e-15", "save={times: [1, 1]}")
    assert set(found) == {"loss.kind", "task.samples", "solver.rtol", "save.times[1]"}


def test_sections_cannot_be_changed():
    experiment = given()
    with pytest.raises(pydantic.ValidationError):
        experiment.flow.t1 = 3.0


def test_an_experiment_made_in_python_keeps_the_same_rules():
    parts = {
        "name": "x",
        "task": CooccurrenceTask(samples=12, length=5, vocabulary=64),
        "model": CooccurrenceTransformer(width=8, neurons=8),
        "flow": GradientFlow(t1=10.0),
    }
    assert Experiment(**parts) == given()
    with pytest.raises(ValueError, match="divisible by 6"):
        Experiment(**parts | {"task": CooccurrenceTask(samples=13, length=5, vocabulary=64)})
    with pytest.raises(ValueError, match="increase"):
        Experiment(**parts, save=GivenTimes(times=(1.0, 1.0)))
    assert Experiment(**parts, events=(MarginReached(margin=1.0),)).events[0].name == "margin_reached"


def test_templates_are_sound():
    kinds = templates_of_new.listed()
    started = {"figure1", "quick", "theory_regime", "long_horizon", "verify", "compare", "deep_linear", "next_token"}
    assert started <= set(kinds)
    for kind, about in kinds.items():
        assert load_text(templates_of_new.text(kind), origin=kind).name == kind
        assert len(about) > 20


def test_the_template_of_optimizers_draws_their_distance_to_the_flow(dataset):
    """In few lines that can be told apart: a color for each learning rate."""
    experiment = load_text(templates_of_new.text("optimizers"), origin="optimizers")
    assert experiment.figures[0].kind == "descent"
    runs = [
        discrete(dataset, f"run {i}", 1 + entry.learning_rate).assign_attrs(optimizer=entry.optimizer)
        for i, entry in enumerate(experiment.descent)
    ]
    panel = plot.FIGURES["descent"](dataset, {}, runs).axes[0]
    lines = [line for line in panel.lines if line.get_linewidth() > 1 and line.get_linestyle() != "None"]
    assert len(lines) == len(runs)
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(runs)


def test_the_table_of_solvers_names_what_the_registry_makes():
    from flowsim import solvers

    assert set(solvers.kinds()) <= set(BY_KIND)


@pytest.mark.parametrize("info", [s for s in SOLVERS if s.stages is not None], ids=lambda info: info.kind)
def test_the_table_of_solvers_agrees_with_the_solvers(info):
    import jax.numpy as jnp

    from flowsim import solvers

    method = solvers.make(info.kind, rtol=1e-3, atol=1e-6, step=None if info.adaptive else 0.1, dtype=jnp.float64)
    assert method.solver.order(None) == info.order
    evaluations = info.stages - int(info.fsal)
    assert method.evaluations.evaluations == evaluations
    assert dataclasses.asdict(info)["kind"] == method.kind


def test_a_misspelt_key_is_one_error():
    """That the right key is missing is said where it is misspelt, and only there."""
    with pytest.raises(ExperimentErrors) as caught:
        load_text(GOOD.replace("samples", "sampels"), origin="e.yaml")
    assert [(problem.key, problem.message) for problem in caught.value.problems] == [
        ("task.sampels", "is not a key here; did you mean 'samples'?")
    ]
