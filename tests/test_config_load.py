"""A file and its overrides as one checked experiment: places, all errors at once, the way back to YAML."""

import math

import pytest

from flowsim.config import Experiment, ExperimentErrors, load, load_text, resolved_yaml, templates

GOOD = """name: x
task: {kind: cooccurrence, samples: 12, length: 5, vocabulary: 64}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
flow: {kind: gradient, t1: 10.0}
solver:
  kind: tsit5
  rtol: 1.0e-6
"""


def errors(text: str, *overrides: str) -> ExperimentErrors:
    with pytest.raises(ExperimentErrors) as caught:
        load_text(text, origin="experiment.yaml", overrides=overrides)
    return caught.value


def test_a_message_has_place_key_line_caret_and_value_as_written():
    text = str(errors(GOOD.replace("1.0e-6", "-1e-3")))
    assert text == "experiment.yaml:7:9 solver.rtol: must be > 0, got -1e-3.\n      rtol: -1e-3\n            ^"


def test_all_errors_come_at_once_in_the_order_of_the_file():
    text = GOOD.replace("width: 8", "width: -8").replace("gradient", "gradeint").replace("tsit5", "tsit") + "wdith: 3\n"
    problems = errors(text).problems
    assert [(p.key, p.place.line) for p in problems] == [
        ("model.width", 3), ("flow.kind", 4), ("solver.kind", 6), ("wdith", 8),
    ]  # fmt: skip


def test_missing_sections_are_all_named():
    assert [p.key for p in errors("name: x\n").problems] == ["flow", "model", "task"]


@pytest.mark.parametrize(
    "text", ["name: x\ntask: [1]\nmodel: 3\nflow: null\n", "name: {}\ntask: {kind: {}}\nmodel: {}\nflow: []\n"]
)
def test_sections_of_the_wrong_form(text):
    keys = {p.key.split(".")[0] for p in errors(text).problems}
    assert {"task", "model", "flow"} <= keys


def test_overrides_change_the_experiment_and_are_checked_like_the_file():
    experiment = load_text(
        GOOD, origin="e", overrides=("flow.t1=1.0e6", "discrete=[]", "solver.rtol=1e-9", "loss=squared")
    )
    assert (experiment.flow.t1, experiment.solver.rtol, experiment.solver.kind) == (1e6, 1e-9, "tsit5")
    assert experiment.loss.kind == "squared"
    assert str(errors(GOOD, "flow.t1=-3")) == "override flow.t1=-3 flow.t1: must be > 0, got -3."


def test_the_last_override_wins_and_parents_come_into_being():
    assert load_text(GOOD, origin="e", overrides=("seed=1", "seed=2")).seed == 2
    assert load_text(GOOD, origin="e", overrides=("save.points=7",)).save.points == 7
    assert load_text(GOOD.replace("solver:\n  kind: tsit5\n  rtol: 1.0e-6\n", "solver: bosh3\n"), origin="e",
                     overrides=("solver.rtol=1e-3",)).solver.kind == "bosh3"  # fmt: skip


def test_an_override_repairs_the_file():
    broken = GOOD.replace("t1: 10.0", "t1: -1")
    assert load_text(broken, origin="e", overrides=("flow.t1=3",)).flow.t1 == 3


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("flow.t1", "key.sub=value"),
        ("=3", "key.sub=value"),
        ("flow..t1=3", "key.sub=value"),
        ("flow.t1 =3", "key.sub=value"),
        ("--t1=3", "key.sub=value"),
        ("name.sub=3", "name is not a section"),
        ("flow.t1.x=3", "flow.t1 is not a section"),
        ("flow.t1=[1", "not a YAML value"),
        ("flow.t1=1: 2: 3", "not a YAML value"),
        ("flow.t1=!!float 3", "tag"),
        ("flow.t1=&a 3", "anchors"),
        ("flow.t1=*a", "anchors"),
        ("flow.t1=1e999", "largest float64"),
        ("flow.t1=" + "[" * 1000, "deep"),
        ("nonsense=3", "is not a key"),
    ],
)
def test_overrides_that_cannot_be_meant(override, says):
    text = str(errors(GOOD, override))
    assert says in text
    assert text.startswith("override ")


def test_every_wrong_override_is_reported():
    assert len(errors(GOOD, "a", "flow.t1=[", "seed=3").problems) == 2


def test_paths_are_relative_to_the_experiment_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "e.yaml").write_text(GOOD + "init: {kind: file, path: none.npz}\n")
    with pytest.raises(ExperimentErrors) as caught:
        load(tmp_path / "sub" / "e.yaml")
    (problem,) = caught.value.problems
    assert (problem.key, problem.place.line) == ("init.path", 8)
    assert str(tmp_path / "sub" / "none.npz") in problem.message
    assert "does not exist" in problem.message


EVERYTHING = """name: every.thing_1-2
notes: |
  First line: with "quotes", 'more', # no comment, <b>tags</b> & umlauts äöü 漢字
  second: line
seed: 7
seeds: [3, 1, 2]
precision: float32
task: {kind: cooccurrence, samples: 13, length: 6, vocabulary: 70, targets: 3, exact_groups: false}
model: {kind: cooccurrence_transformer, width: .inf, neurons: 12}
init: {kind: theory, c0: 0.1, c1: 1.0e-300}
loss: exponential
flow: {kind: gradient, t1: 1.2345678901234567e+6, reduction: none}
solver: {kind: heun, rtol: 2.0e-3, atol: 1.0e-300, step: 3.0, max_steps: 1e6}
events:
  - phase1_end
  - {kind: phase1_end, name: yes, direction: both, terminal: true}
  - {kind: margin_reached, margin: -1}
  - {kind: mlp_aligned, level: 0.1}
  - {kind: attention_moves, epsilon: 0.1}
  - common_word_turns
  - {kind: loss_below, value: 1e-6}
  - {kind: gradient_below, value: 1e-6, name: null_}
save: {times: [0, 0.1, 2, 1e5]}
certificate: {method: solver}
discrete:
  - {optimizer: sgd, learning_rate: 0.01, steps: 30000, momentum: 0.9}
  - {optimizer: sgd, learning_rate: 1e-3, steps: 10}
figures: []
"""


@pytest.mark.parametrize(
    "text",
    [GOOD, EVERYTHING, GOOD + "events: []\nsave: {spacing: linear}\n", *map(templates.text, templates.listed())],
    ids=lambda text: str(len(text)),
)
def test_resolved_yaml_loads_back_to_the_same_experiment(text):
    experiment = load_text(text, origin="e.yaml")
    written = resolved_yaml(experiment)
    again = load_text(written, origin="resolved.yaml")
    assert again == experiment
    assert resolved_yaml(again) == written


@pytest.mark.parametrize("name", ["null", "true", "1e3", "0x10", "1.5", "no"])
def test_names_that_look_like_something_else_survive(name):
    experiment = load_text(GOOD.replace("name: x", f'name: "{name}"'), origin="e.yaml")
    assert load_text(resolved_yaml(experiment), origin="r.yaml").name == name


def test_resolved_yaml_writes_defaults_and_exact_numbers():
    written = resolved_yaml(load_text(EVERYTHING, origin="e.yaml"))
    for part in ("1234567.8901234567", ".inf", "distinct_words: false", "direction: both"):
        assert part in written
    assert "rtol: 1e-05" in resolved_yaml(
        load_text(GOOD.replace("rtol: 1.0e-6", "") + "precision: float32", origin="e")
    )


def test_json_form_holds_no_infinity_and_reads_back():
    experiment = load_text(EVERYTHING, origin="e.yaml")
    assert experiment.model.width == math.inf
    assert "Infinity" not in experiment.model_dump_json()
    assert Experiment.model_validate(experiment.model_dump()) == experiment
