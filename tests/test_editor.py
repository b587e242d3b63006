"""An editor and a shell that know the experiment file."""

import json
import pathlib

import jsonschema
import pytest
import typer

from flowsim.cli import completion
from flowsim.cli.app import app
from flowsim.cli.new import _EDITOR, new
from flowsim.config import load_text, templates
from flowsim.config.filling import filled
from flowsim.config.json_schema import json_schema
from flowsim.config.problems import ExperimentErrors
from flowsim.config.yaml_source import parse

from .test_cli import flowsim

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module", name="schema")
def _schema():
    return jsonschema.Draft202012Validator(json_schema())


TEXTS = {name: templates.text(name) for name in templates.listed()}
TEXTS |= {path.stem: path.read_text("utf8") for path in sorted((ROOT / "experiments").glob("*.yaml"))}


@pytest.mark.parametrize("name", TEXTS)
def test_experiments_are_valid_by_the_schema(name, schema):
    """Those that `flowsim new` prints, and those that come along."""
    data = parse(TEXTS[name], name).data
    assert [error.message for error in schema.iter_errors(data)] == []
    wrong = {**data, "flow": {**data["flow"], "t2": 1.0}, "seed": "x"}
    assert len(list(schema.iter_errors(wrong))) == 2


@pytest.mark.parametrize("name", templates.listed())
def test_values_are_filled_in_where_they_belong(name):
    """The same experiment as with overrides, every comment and every other line as it was."""
    text = templates.text(name)
    changes = [
        "flow.t1=7.5",
        "solver.rtol=1.0e-7",
        "seed=3",
        "init={kind: kaiming_normal, scale: 0.5}",
        "init.scale=2.0",
    ]
    found = filled(text, [*changes, "save={points: 7}", "evaluation.samples_at_once=5"], name)
    made = load_text(found, origin=name)
    assert (made.flow.t1, made.seed, made.save.points, made.init.scale) == (7.5, 3, 7, 2.0)
    assert made.evaluation.samples_at_once == 5
    replaced = ("init:", "save:")  # whole sections, with what was in them
    before, after = text.splitlines(), found.splitlines()
    inside = {k for k, line in enumerate(before) if _section(before, k).startswith(replaced)}
    comments = [line.partition("#")[2] for k, line in enumerate(before) if "#" in line and k not in inside]
    assert all(comment in found for comment in comments)
    assert len({line for k, line in enumerate(before) if k not in inside} - set(after)) <= 4


def _section(lines, number):
    """The top line of the section that a line stands in."""
    return next(line for line in reversed(lines[: number + 1]) if line[:1] not in (" ", ""))


def test_the_comment_behind_a_value_keeps_its_column():
    text = templates.text("figure1")
    found = filled(text, ["flow.t1=1.0e6"], "figure1")
    (before,), (after,) = ([line for line in one.splitlines() if "30 000 steps" in line] for one in (text, found))
    assert before.index("#") == after.index("#")
    assert after.split("#")[0].strip() == "t1: 1.0e6"


def test_what_is_filled_in_is_checked():
    with pytest.raises(ExperimentErrors, match=r"flow\.tt1: is not a key"):
        filled(templates.text("quick"), ["flow.tt1=1.0"], "quick")


SILENT = {"list_kinds": False, "out": None, "plugin": None, "quiet": False, "verbose": False, "debug": False}


def test_command_fills_in_and_tells_the_editor(capsys):
    new(kind="quick", values=["flow.t1=2.0", "name=mine"], json=True, **SILENT)
    text = json.loads(capsys.readouterr().out)["text"]
    assert text.startswith("# yaml-language-server: $schema=flowsim.schema.json\n")
    assert text.startswith(_EDITOR)
    made = load_text(text, origin="quick")
    assert (made.flow.t1, made.name) == (2.0, "mine")
    new(kind="seed=5", values=None, json=False, **SILENT)
    assert load_text(capsys.readouterr().out, origin="x").seed == 5
    with pytest.raises(typer.Exit):
        new(kind="quick", values=["flow.t3=2.0"], json=False, **SILENT)


def offered(file, incomplete, *before, named="experiment"):
    """What a shell is offered for the last word behind an experiment file, or what else names an experiment."""
    ctx = typer.Context(typer.main.get_command(app))
    ctx.params = {named: file, "overrides": before}
    return [word for word, _ in completion.changes(ctx, incomplete)]


def test_a_shell_completes_keys_and_kinds(tmp_path):
    """Behind the file, by what the file says. Bash takes a change for three words, other shells for one."""
    file = tmp_path / "e.yaml"
    file.write_text("init: {kind: gaussian}\nflow: {t1: 1.0}\n")
    assert offered(file, "flow.t1") == ["flow.t1="]
    assert offered(file, "init.sig") == ["init.sigma0=", "init.sigma1="]
    assert offered(tmp_path / "none.yaml", "init.sig") == []
    assert offered(file, "solver.kind=tsi") == ["solver.kind=tsit5"]
    assert offered(file, "log", "seed=1", "loss", "=") == ["logistic"]
    assert "logistic" in offered(file, "=", "loss")
    assert [word for word, _ in completion.kinds("qui")] == ["quick"]
    assert offered("deep_linear", "model.hid", named="kind") == ["model.hidden="]
    assert [word for word, _ in completion.papers("sax")] == ["saxe2014"]
    assert offered("saxe2014", "flow.t1", named="name") == ["flow.t1="]


def test_completion_is_wired(tmp_path):
    (tmp_path / "e.yaml").write_text("flow: {t1: 1.0}\n")
    asked = {"_FLOWSIM_COMPLETE": "complete_bash", "COMP_WORDS": "flowsim run e.yaml flow.t", "COMP_CWORD": "3"}
    assert flowsim(cwd=tmp_path, **asked).stdout.split() == ["flow.t1=", "flow.time_scales="]
