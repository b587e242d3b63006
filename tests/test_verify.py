"""`flowsim verify`: exit codes, streams, claims.json, the report's section, and `scaling` in an experiment."""

import html
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import xarray

from flowsim import load
from flowsim.config import ExperimentErrors, load_text
from flowsim.sweep import Sweep, states
from flowsim.sweep.collect import collect
from flowsim.sweep.figures import page_of

LONG_FIXTURES = ("verified",)  # what uses them is slow

EXPERIMENT = """
name: tiny
seeds: 2
task: {kind: cooccurrence, samples: 6, length: 3, vocabulary: 10, distinct_words: true}
model: {kind: cooccurrence_transformer, width: 64, neurons: 8}
init: {kind: theory}
flow: {kind: gradient, t1: 50.0}
solver: {kind: tsit5, rtol: 1.0e-6, atol: 1.0e-8}
save: {points: 40}
certificate: false
figures: [loss]
scaling: {over: width, values: [64, 128], seeds: 2}
"""
COMMAND = [sys.executable, "-c", "from flowsim.cli import main; main()"]


def flowsim(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=1200)


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    (folder / "tiny.yaml").write_text(EXPERIMENT, encoding="utf8")
    return flowsim("verify", folder / "tiny.yaml", "--out", folder / "out", "--json", "-q"), folder / "out"


def test_json_holds_every_claim(verified):
    result, folder = verified
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["claims"] == json.loads((folder / "claims.json").read_text(encoding="utf8"))["claims"]
    ids = [claim["id"] for claim in content["claims"]]
    assert len(ids) == len(set(ids))
    for name in ("Theorem 3.1.1", "Lemma 4.4", "Theorem F.8", "Lemma F.4", "T1 law", "Theorem E.28"):
        assert name in ids
    for claim in content["claims"]:
        assert claim["verdict"] in ("holds", "fails", "not reached", "too close to call")
        assert {"id", "source", "statement", "rule", "verdict", "measured", "reasons"} <= set(claim)
        assert claim["verdict"] != "not reached" or claim["reasons"]
    exact = {claim["id"]: claim for claim in content["claims"]}["Lemma F.4"]
    assert exact["runs"]["holds"] == 2
    assert exact["fraction"] == 1.0
    assert 0.3 < exact["interval"][0] < exact["interval"][1] == 1.0


def test_folder_is_a_run_folder_with_a_report(verified):
    _, folder = verified
    page = (folder / "report.html").read_text(encoding="utf8")
    assert "The paper's claims" in html.unescape(page)
    assert "Theorem 3.1.1" in page
    drawn = {path.name for path in (folder / "figures" / "claims").glob("*.png")}
    assert {"theorem_3_1_1.png", "lemma_4_5.png", "t1_law.png"} <= drawn
    assert page.count("<img") >= len(drawn)
    assert (folder / "trajectory.nc").is_file()


def test_every_run_is_a_member_with_a_run_folder(verified):
    """Those of `seeds` and those of each size; the first seed's is the run of the folder itself."""
    _, folder = verified
    sweep = Sweep.read(folder)
    assert states(sweep).counts["done"] == 2 + 2 * 2
    (first, _), *sizes = [
        tuple(g) for _, g in itertools.groupby(sweep.members.values(), lambda m: m.values.get("model.width"))
    ]
    assert [[member.values["seed"] for member in members] for members in sizes] == [[0, 1], [0, 1]]
    with (
        xarray.open_dataset(folder / "trajectory.nc") as own,
        xarray.open_dataset(sweep.folder(first.id) / "trajectory.nc") as member,
    ):
        xarray.testing.assert_identical(own, member)
    wide = load(sweep.folder(sizes[1][0].id))
    assert wide.complete
    assert "leaves_phase2_region" in wide.events  # which the claims watch
    refused = flowsim("sweep", "--resume", folder)
    assert refused.returncode == 2
    assert f"flowsim verify --resume {folder}" in refused.stderr
    assert collect(sweep, states(sweep)).sizes["model.width"] == 2
    assert page_of(sweep) == "sweep.html"  # the report is the verification's


@pytest.mark.slow
def test_report_keeps_the_claims(verified):
    _, folder = verified
    before = (folder / "report.html").read_bytes()
    assert flowsim("report", folder).returncode == 0
    assert (folder / "report.html").read_bytes() == before


def test_refuses_a_used_folder_and_a_missing_file(verified, tmp_path):
    _, folder = verified
    source = folder.parent / "tiny.yaml"
    assert flowsim("verify", source, "--out", folder).returncode == 2
    assert flowsim("verify", tmp_path / "none.yaml").returncode == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("scaling: {over: depth, values: [1, 2]}", "must be a key of a section"),
        ("scaling: {over: width, values: [64]}", "at least 2"),
        ("scaling: {over: width, values: [64, 64.5]}", "whole number"),
        ("scaling: {over: sigma0, values: [0.1, 0.2]}", "gaussian"),
        ("scaling: {over: samples, values: [6, 60]}", "vocabulary"),
        ("scaling: {over: samples, values: [6, 7]}", "divisible"),
        ("scaling: [{over: width, values: [64, 128]}, {over: length, values: [2, 3]}]", "length"),
    ],
)
def test_scaling_is_checked(change, message):
    text = EXPERIMENT.replace("scaling: {over: width, values: [64, 128], seeds: 2}", change)
    with pytest.raises(ExperimentErrors, match=message):
        load_text(text, origin="x.yaml")


def test_scaling_of_initial_scales():
    text = EXPERIMENT.replace("over: width, values: [64, 128]", "over: c1, values: [0.1, 0.25]")
    assert load_text(text, origin="x.yaml").scaling[0].values == (0.1, 0.25)


@pytest.mark.slow
def test_samples_without_groups_are_refused(tmp_path):
    np.savez(tmp_path / "data.npz", tokens=np.array([[0, 1, 2], [2, 3, 4]]), labels=np.array([1, -1]))
    text = EXPERIMENT.replace(
        "{kind: cooccurrence, samples: 6, length: 3, vocabulary: 10, distinct_words: true}",
        "{kind: file, path: data.npz, vocabulary: 5}",
    )
    text = "".join(line for line in text.splitlines(True) if not line.startswith("scaling"))
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf8")
    done = flowsim("verify", tmp_path / "tiny.yaml", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "groups" in done.stderr
