"""flowsim against trajectories by independent code (NumPy gradient written by hand, SciPy's DOP853 at 1e-13)."""

import numpy as np
import pytest

import flowsim

from .problems import distance, reference


@pytest.fixture(scope="module", params=["small", pytest.param("figure1", marks=pytest.mark.slow)])
def run(request):
    problem, arrays = reference(request.param)
    result = flowsim.simulate(
        problem,
        t1=float(arrays["times"][-1]),
        rtol=1e-11,
        atol=1e-13,
        events=[flowsim.events.phase1_end()],
        save_times=arrays["times"],
    )
    return result, arrays


def test_final_parameters(run):
    result, arrays = run
    assert distance(result.model, arrays) < 1e-9


def test_phase1_end(run):
    result, arrays = run
    record = result.events["phase1_end"]
    assert len(record.times) == 1
    assert abs(record.time / float(arrays["phase1_end"]) - 1) < 1e-10


@pytest.mark.parametrize("name", ["loss", "loss_by_group", "attention_score", "mlp_alignment", "value_gram"])
def test_probes_at_every_time(run, name):
    result, arrays = run
    np.testing.assert_allclose(result.trajectory.time, arrays["times"])
    error = np.max(np.abs(result.trajectory.values[name] - arrays[name])) / np.max(np.abs(arrays[name]))
    assert error < 1e-8


@pytest.mark.slow
def test_the_certificate_bounds_the_true_error(run):
    result, arrays = run
    certificate = result.certificate
    assert distance(result.model, arrays) <= certificate.relative_error < 1e-8
    error = abs(result.events["phase1_end"].time - float(arrays["phase1_end"]))
    assert error <= result.events["phase1_end"].uncertainty + 1e-13
    assert set(certificate.invariants) >= {"key_query", "mlp_value", "frozen_directions", "homogeneity"}
    assert max(certificate.invariants.values()) < 1e-10
    assert certificate.energy_identity < 1e-8
