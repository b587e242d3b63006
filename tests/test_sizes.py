"""What a run weighs, and what is refused for it."""

import json

import pytest

from flowsim.config import load_text
from flowsim.config.problems import ExperimentErrors
from flowsim.experiment import build, sizes

from . import killing
from .test_cli import flowsim as command


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
