"""`flowsim compare`: table, dataset, figure, and what it refuses."""

import json

import pytest
import xarray

from .test_cli import flowsim

TEXT = """name: c
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}
model: {kind: cooccurrence_transformer, width: 4, neurons: 4}
flow: {t1: 2.0}
events: [{kind: loss_below, value: 0.5}]
compare: {solvers: [bosh3], tolerances: [1.0e-3, 1.0e-4], reference: [tsit5, dopri5], repeats: 1}
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "c.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.slow
def test_one_json_document_and_the_files(experiment):
    folder = experiment.parent / "out"
    done = flowsim("compare", experiment, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [run["solver"] for run in document["runs"]] == ["bosh3", "bosh3"]
    assert all(run["parameter_error"] < 100 * run["setting"] for run in document["runs"])
    assert {"work_precision.nc", "work_precision.png", "work_precision.pdf", "table.txt"} <= {
        path.name for path in folder.iterdir()
    }
    with xarray.open_dataset(folder / "work_precision.nc") as data:
        assert data.attrs["reference"] == document["reference"]
    again = flowsim("compare", experiment, "--out", folder)
    assert again.returncode == 2


@pytest.mark.slow
def test_descents_order(experiment):
    folder = experiment.parent / "order"
    done = flowsim("compare", experiment, "compare.descent={learning_rates: [0.2, 0.1]}", "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    orders = {(fit["against"], fit["quantity"]): fit["order"] for fit in document["orders"]}
    assert abs(orders["gradient flow", "final distance"] - 1) < 0.2
    assert abs(orders["modified flow", "final distance"] - 2) < 0.4
    assert {f"descent_order.{form}" for form in ("nc", "png", "pdf")} < {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("override", ["compare.solvers=[tsti5]", "compare.tolerances=[]", "compare.repeats=0"])
def test_bad_sections_are_refused(experiment, override):
    done = flowsim("compare", experiment, override)
    assert done.returncode == 2
