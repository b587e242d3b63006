"""Descent against the flow in experiment files: what a run says of it, and what is refused."""

import numpy as np
import pytest
import xarray

from flowsim.config import ExperimentErrors, Source, load_text
from flowsim.experiment.run import run_experiment
from flowsim.report import descent_lines

TEXT = """name: d
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}
model: {kind: cooccurrence_transformer, width: 4, neurons: 4}
flow: {t1: 2.0}
certificate: false
figures: [descent]
discrete:
  - {optimizer: sgd, learning_rate: 0.2, steps: 10, tube: 1.0e-3}
  - {optimizer: sgd, learning_rate: 0.1, steps: 30}
  - {optimizer: sgd, learning_rate: 3.0, steps: 5}
  - {optimizer: sgd, learning_rate: 0.1, steps: 5, against_flow: false}
"""


@pytest.mark.slow
def test_a_run_says_how_far_descent_is(tmp_path):
    experiment = load_text(TEXT, origin="d.yaml")
    folder = tmp_path / "run"
    outcome = run_experiment(Source(experiment, TEXT, tmp_path), folder)
    found = outcome.summary.descent
    coarse, fine = found.runs  # a step of 3 ends after the flow
    assert (coarse.steps, fine.steps) == (10, 20)
    assert fine.time == pytest.approx(2.0)
    final, *_ = found.orders
    assert final.order == pytest.approx(np.log2(coarse.final_distance / fine.final_distance))
    assert coarse.exit_step is not None
    with xarray.open_dataset(folder / "descent" / "00.nc") as data:
        assert data["flow_distance"].values[-1] == coarse.final_distance
        assert float(data["stability"].max()) == coarse.edge.largest
        assert float(data["loss"][-1]) < float(data["loss"][0])
    with xarray.open_dataset(folder / "descent" / "03.nc") as data:
        assert "flow_distance" not in data
    assert (folder / "figures" / "descent.png").stat().st_size > 1000
    report = (folder / "report.html").read_text()
    assert "Descent against the flow" in report
    assert f"at step {coarse.exit_step}," in report
    assert any("order of the final distance" in line for line in descent_lines(found))


@pytest.mark.parametrize(
    ("override", "place", "message"),
    [
        ("compare.descent={learning_rates: [0.1]}", "compare.descent.learning_rates", "at least 2"),
        ("compare.descent={learning_rates: [0.1, 0.03]}", "compare.descent.learning_rates[1]", "whole number"),
        ("compare.descent={learning_rates: [0.1, 0.1]}", "compare.descent.learning_rates[1]", "once"),
        ("discrete=[{learning_rate: 0.1, steps: 5, tube: 0}]", "discrete[0].tube", "> 0"),
        ("flow={kind: modified_gradient, t1: 2}", "flow.step", "is missing"),
        ("flow={kind: modified_gradient, t1: 2, step: -1}", "flow.step", "> 0"),
        ("flow={kind: modified_gradient, t1: 2, step: 1, reduction: gram}", "flow.reduction", "gram"),
    ],
)
def test_bad_experiments_name_the_place(override, place, message):
    with pytest.raises(ExperimentErrors) as found:
        load_text(TEXT, origin="d.yaml", overrides=(override,))
    assert place in str(found.value)
    assert message in str(found.value)


def test_descents_order_is_one_of_the_gradient_flow():
    override = ("flow={kind: modified_gradient, t1: 2, step: 1}", "compare.descent={learning_rates: [0.1, 0.2]}")
    with pytest.raises(ExperimentErrors, match="plain gradient flow"):
        load_text(TEXT, origin="d.yaml", overrides=override)
