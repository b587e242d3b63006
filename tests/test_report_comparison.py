"""Runs side by side: what differs beyond the errors, and what their files say differently."""

import dataclasses
import json

import numpy as np
import pytest
import typer
import xarray

from flowsim import store
from flowsim.cli.report import report as command
from flowsim.config.brief import brief
from flowsim.report.comparison import Row, Side, _row, compare_runs

from .explore_data import HOSTILE, trajectory, write_run


@pytest.fixture(scope="module", name="folders")
def _folders(tmp_path_factory):
    """Two runs of the same flow whose errors explain their difference, and another one."""
    root = tmp_path_factory.mktemp("runs")
    for name, shift, change in (("a", 1.0, 0.0), ("b", 1.0, 1e-10), ("c", 2.0, 0.0)):
        data = trajectory(shift)
        data["loss"] = data["loss"] * (1 + change)
        write_run(root / name, shift, data)
        (root / name / "resolved.yaml").write_text(f"seed: {shift}\nmodel:\n  width: 8\n  {name}: {HOSTILE[:9]!r}\n")
    return [root / name for name in "abc"]


@pytest.mark.parametrize(
    ("sides", "verdict", "spread", "allowed"),
    [
        ([(1.0, 0.1), (1.15, 0.1)], "same", 0.15, 0.2),
        ([(1.0, 0.1), (1.25, 0.1)], "differs", 0.25, 0.2),
        ([(1.0, 0.1), (1.05, 0.1), (2.0, 0.1)], "differs", 1.0, 0.2),
        ([(0.0, 10.0), (5.0, 0.0), (6.0, 0.0)], "differs", 1.0, 0.0),  # the nearest pair may be the one that differs
        ([(1.0, None), (1.25, 0.1)], "unknown", 0.25, None),
        ([(None, None), (1.25, 0.1)], "unknown", None, None),
    ],
)
def test_two_numbers_differ_beyond_both_errors(sides, verdict, spread, allowed):
    row = _row("x", [Side(*side) for side in sides])
    assert row.verdict == verdict
    assert row.spread == pytest.approx(spread)
    assert row.allowed == pytest.approx(allowed)
    assert isinstance(row, Row)
    assert row.said


def test_runs(folders):
    runs = [store.load(folder) for folder in folders]
    files = [{"seed": 1, "model": {"width": 8}}, {"seed": 1, "model": {"width": 8}}, {"seed": 2, "model": {"width": 8}}]
    found = compare_runs("abc", runs, files)
    assert found.keys == {"seed": ("1", "1", "2")}
    assert {row.name: row.verdict for row in found.events} == {"phase1_end": "differs", "never": "unknown"}
    two = compare_runs("ab", runs[:2], files[:2])
    assert {row.name: row.verdict for row in two.events} == {"phase1_end": "same", "never": "unknown"}
    loss = next(row for row in two.final if row.name == "loss")
    assert loss.verdict == "same"  # 1e-10 apart, 1e-9 allowed on either side
    end = float(trajectory()["loss"][-1])
    assert [side.value for side in loss.sides] == pytest.approx([end, end * (1 + 1e-10)], rel=1e-14)
    assert loss.allowed == pytest.approx(2e-9 * end)
    assert np.isfinite(loss.spread)
    assert "never: never | never  (happened in no run)" in str(two)
    assert "phase1_end: 7.000000000 ± 1e-09".replace(".000000000", "") in str(two)


def test_an_event_that_never_happened_is_told_from_one_that_was_not_watched():
    row = _row("half", [Side(None, None, never=True), Side(None, None), Side(2.0, 0.0)])
    assert [side.text for side in row.sides] == ["never", "–", "2"]
    assert (row.verdict, row.said) == ("unknown", "not in every run")


def test_a_list_of_parts_is_one_line_without_their_defaults(folders):
    """What the resolved files say in many lines, most of them defaults, one would write in a few words."""
    runs = [store.load(folder) for folder in folders[:2]]
    step = {"optimizer": "sgd", "learning_rate": 0.01, "steps": 30, "against_flow": True, "tube": 0.01}
    end = {"kind": "phase1_end", "name": "phase1_end", "terminal": False}
    one = {"descent": [], "events": [end], "save": {"times": [0.5, 2.0]}}
    other = {"descent": [step], "events": [{**end, "terminal": True}, end], "save": {"times": [0.5, 3.0]}}
    found = compare_runs("ab", runs, [brief(one), brief(other)])
    assert found.keys == {
        "descent": ("none", "{learning_rate: 0.01, steps: 30}"),
        "events": ("phase1_end", "{kind: phase1_end, terminal: True}, phase1_end"),
        "save.times": ("0.5, 2", "0.5, 3"),
    }


def test_command(folders, capsys, tmp_path):
    command(folders, out=tmp_path / "page.html", json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["runs"] == ["a", "b", "c"]
    assert document["keys"]["seed"] == ["1", "1", "2"]
    assert document["events"][0]["verdict"] == "differs"
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("data:image/png") == 2  # the loss and the other probe without an axis
    assert HOSTILE[:9] not in page
    assert "<img src=x" not in page
    command(folders[:2])
    assert (folders[0].parent / "comparison.html").is_file()


def test_refusals(folders, capsys, tmp_path):
    for arguments, message in (
        (([folders[0], folders[0]],), "given twice"),
        (([folders[0], tmp_path],), "is not a run folder"),
        (([folders[0]], tmp_path / "x.html"), "--out is for several"),
    ):
        with pytest.raises(typer.Exit) as ended:
            command(*arguments)
        assert ended.value.exit_code == 2
        assert message in capsys.readouterr().err


def test_an_ensemble_is_compared_by_its_medians(folders):
    """It ended in a traceback."""
    run = store.load(folders[0])
    loss = run.dataset["loss"]
    many = xarray.concat([loss - 1.0, loss, loss + 2.0], "seed", join="override").to_dataset(name="loss")
    many["loss_error"] = xarray.ones_like(many["loss"]) * xarray.DataArray([0.1, 0.2, 0.3], dims="seed")
    many["relative_error"] = ("seed", [1.0, 2.0, 3.0])
    found = compare_runs(["one", "many"], [run, dataclasses.replace(run, dataset=many)], [{}, {}])
    (row,) = (row for row in found.final if row.name == "loss")
    assert row.sides[1] == Side(float(loss[-1]), 0.3)
