"""One file adds a kind of every section, which is then run, checked, listed and documented like flowsim's own."""

import json
import math
import pathlib

import pytest

from flowsim import plugin
from flowsim.config import SECTIONS, ExperimentErrors, Source, load_text, registered, resolved_yaml
from flowsim.config.kind import source
from flowsim.experiment import build
from flowsim.experiment.run import run_experiment

TOYS = pathlib.Path(__file__).parent / "toy.py"
PARTS = """task: {kind: toy_task, samples: 6}
model: {kind: toy_model, size: 0.3}
loss: {kind: toy_loss, margin: 0.5}
init: {kind: toy_init, value: 0.1, scale: 2.0}
flow: {kind: toy_flow, speed: 0.5, t1: 5.0}
solver: {kind: toy_solver, rtol: 1.0e-7}
events: [{kind: toy_event, level: 0.25, name: reached, terminal: false}]
probes: [toy_probe]
claims: [toy_claim]
sensitivities: [toy_sensitivity]
log: [toy_log]
save: {points: 12}
figures: [{kind: toy_figure, color: red, height: 1.5}]
"""


@pytest.fixture(autouse=True, scope="module")
def _toys():
    plugin.load([TOYS])


def checked(*overrides):
    return load_text(PARTS, origin="toys.yaml", overrides=overrides)


def test_every_section_has_a_toy():
    assert all(any(source(which) for which in registered(section).values()) for section in SECTIONS)


def test_a_run_of_toys_alone(tmp_path):
    """Task, model, loss, init, probe, event, flow, solver, figure and claim of a user's in one experiment."""
    (tmp_path / "title.txt").write_text("beside the experiment, wherever the command is given")
    experiment = checked("figures=[{kind: toy_figure, color: red, height: 1.5, title: title.txt}]")
    assert experiment.name == "toys"
    outcome = run_experiment(Source(experiment, PARTS, tmp_path), tmp_path / "run")
    summary = outcome.summary.model_dump()
    assert outcome.ok
    assert summary["solver"]["kind"] == "toy_solver"
    assert summary["events"]["reached"]["time"] > 0
    assert summary["final"]["toy_probe"] > math.sqrt(2) * 0.2
    assert 0 < summary["certificate"]["relative_error"] < 1e-6
    assert (tmp_path / "run" / "figures" / "toy_figure.png").stat().st_size > 1000
    again = load_text((tmp_path / "run" / "resolved.yaml").read_text(), origin="resolved.yaml")
    assert again == experiment

    problem = build.problem(experiment, tmp_path)
    assert [claim.id for claim in build.claims(experiment, problem)] == ["falls"]


def test_a_whole_problem_of_a_plugin(tmp_path):
    """What `Problem.from_loss` does, from a file: x' = -x from 2 is 2 exp(-t)."""
    text = (
        "problem: {kind: toy_problem, x: 2}\nflow: {t1: 1.0}\nsave: {points: 5}\nfigures: [loss]\ncertificate: false\n"
    )
    experiment = load_text(text, origin="whole.yaml")
    assert (experiment.task, experiment.events) == (None, ())
    outcome = run_experiment(Source(experiment, text, tmp_path), tmp_path / "run")
    assert outcome.summary.final.loss == pytest.approx(2 * math.exp(-2), rel=1e-6)
    with pytest.raises(ExperimentErrors, match=r"w.yaml:4:7 init: must be left out"):
        load_text(text.replace("figures", "init: as_made\nfigures"), origin="w.yaml")


@pytest.mark.parametrize(
    ("override", "key", "says"),
    [
        ("loss.margn=1", "loss.margn", "did you mean 'margin'?"),
        ("loss.margin=a", "loss.margin", "must be a number"),
        ("loss.margin=11", "loss.margin", "must be at most 10, got 11"),
        ("model.size=true", "model.size", "must be a number, got true"),
        ("probes=[{kind: toy_probe, power: 1.5}]", "probes[0].power", "whole number"),
        *[
            (f"{key}=toy_{section}s", f"{key}.kind", f"did you mean 'toy_{section}'?")
            for key, section in [(s, s) for s in ("task", "model", "loss", "init", "flow", "solver", "problem")]
        ],
        *[
            (f"{key}=[toy_{section}s]", f"{key}[0].kind", f"did you mean 'toy_{section}'?")
            for key, section in {"events": "event", "probes": "probe", "figures": "figure", "claims": "claim"}.items()
        ],
    ],
)
def test_mistakes_about_a_toy_are_explained(override, key, says):
    with pytest.raises(ExperimentErrors) as caught:
        checked(override)
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert says in found[key], found


def test_resolved_files_name_the_fields_of_toys():
    assert "{kind: toy_loss, margin: 0.5}" in resolved_yaml(checked())


def test_toys_are_in_the_schema():
    from flowsim.config.json_schema import json_schema

    text = json.dumps(json_schema())
    assert all(f'"toy_{section}"' in text for section in SECTIONS)
    assert "Softplus of margin" in text


def built_whole(experiment, folder):
    problem = build.problem(experiment, folder)
    build.prepared(experiment, problem, folder)
    build.figures(experiment)


BROKEN = """import jax, flowsim
from flowsim.config import Kind
@flowsim.kind("{section}", "broken_{number}")
class Broken(Kind):
    def build(self, context):
        {body}
"""


@pytest.mark.parametrize(
    ("number", "section", "body", "says"),
    [
        (i, *case)
        for i, case in enumerate(
            [
                ("task", "return 3", "build of Broken returned a int; it must return a flowsim.tasks.Task"),
                ("model", "return 3.0", "it must return an unbatched Equinox module"),
                ("loss", "return 1 / 0", ":6:9 loss broken_2: build of Broken raised ZeroDivisionError"),
                ("loss", "return lambda prediction, label: jax.numpy.ones(3)", "one real number, not float64[3]"),
                ("loss", "return lambda prediction: prediction", "the loss of Broken raised TypeError"),
                ("init", "return lambda model, *, key: 3", "returns the model with other values"),
                ("init", "return None", "it must return a function (model, *, key) -> model"),
                ("probe", "return 'norm'", "it must return a flowsim.probes.Probe"),
                ("probe", "return lambda model: model.nothing", "the probe of Broken raised AttributeError"),
                ("event", "return lambda t, model: model.w[7:9].sum() > 0", "the event's function of Broken raised"),
                ("flow", "return print", "it must return a flowsim.flows.AbstractFlow"),
                ("solver", "return 'tsit5'", "it must return a Diffrax solver"),
                ("figure", "return 1", "it must return a function (drawing)"),
                ("problem", "return None", "build of Broken returned nothing; it must return a flowsim.Problem"),
            ]
        )
    ],
)
def test_a_plugin_that_builds_wrongly_is_one_sentence(number, section, body, says, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(BROKEN.format(section=section, number=number, body=body))
    plugin.load([path])
    key = {"probe": "probes", "event": "events", "figure": "figures"}.get(section, section)
    extra = ["task=", "model=", "loss=", "init="] if section == "problem" else []
    value = f"[broken_{number}]" if key != section else f"{{kind: broken_{number}{', t1: 5' * (section == 'flow')}}}"
    experiment = checked(f"{key}={value}", *extra, *["events=[]", "probes=[]"] * (section == "problem"))
    with pytest.raises(ExperimentErrors) as caught:
        built_whole(experiment, tmp_path)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)
