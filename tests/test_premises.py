"""What the bounds rest on: where it fails, the run and its certificate say so, and no bound is given."""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.report import rebuild, summary_text

P = flowsim.Problem.from_loss


def network(activation):
    """Two samples that pull a neuron to its kink from both sides."""
    x, y = jnp.array([[1.0, 0.0], [0.6, 0.8]]), jnp.array([1.0, -1.0])

    def risk(p):
        return jnp.mean((activation(x @ p["W"].T) @ p["a"] - y) ** 2) / 2

    return P(risk, {"W": 1e-3 * x[1:], "a": jnp.array([1e-3])})


def run(problem, t1, **options):
    return flowsim.simulate(problem, t1=t1, **{"save_times": [0.0, t1], "certificate": True, **options})


def said(result, words):
    return any(words in warning for warning in result.certificate.withheld)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["auto", "tsit5"])
def test_sliding_along_a_kink_is_stopped_and_said(solver):
    """It took 260 000 evaluations to t = 4.3 of 30, and the certificate said 7e-8."""
    event = flowsim.events.crossing("early", lambda t, p: t - 1.0)
    result = run(network(jax.nn.relu), 30.0, solver=solver, rtol=1e-6, atol=1e-8, max_steps=30_000, events=[event])
    assert result.status.kind == "sliding"
    assert "smooth" in result.status.remedy
    assert result.solver.steps + result.solver.rejected < 25_000
    assert math.isinf(result.certificate.relative_error)
    assert said(result, "kink")
    assert result.events["early"].time == pytest.approx(1.0)
    assert result.events["early"].uncertainty is None
    assert result.certificate.probe_errors == {}


def test_a_kink_that_is_passed_withholds_the_bound():
    problem = P(lambda p: p["x"] + jax.nn.relu(p["x"] - 0.3) + jax.nn.relu(p["x"] + 1), {"x": 1.0})
    result = run(problem, 5.0)
    assert result.status.kind == "done"
    assert math.isinf(result.certificate.relative_error)
    assert said(result, "kink")


@pytest.mark.thorough
@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.gelu])
def test_smooth_activations_have_a_bound(activation):
    result = run(network(activation), 30.0, rtol=1e-6, atol=1e-8)
    assert result.status.kind == "done"
    assert result.certificate.withheld == ()
    assert result.certificate.relative_error < 1e-3


@pytest.mark.thorough
@pytest.mark.parametrize(("solver", "rtol"), [("tsit5", 1e-6), ("auto", 1e-8)])
def test_blow_up_is_told_with_its_time(solver, rtol):
    """θ' = θ² from 1 is 1/(1 - t); x' = ‖x‖² x from a norm of √1.25 is infinite at 1/(2 · 1.25)."""
    cases = (
        (P(lambda p: -(p["x"] ** 3) / 3, {"x": 1.0}), 1.0, "^-1"),
        (P(lambda p: -(jnp.sum(p["x"] ** 2) ** 2) / 4, {"x": jnp.array([1.0, 0.5])}), 0.4, "^-0.5"),
    )
    for problem, time, power in cases:
        result = run(problem, 2.0, solver=solver, rtol=rtol, atol=rtol * 1e-2)
        assert result.status.kind == "blow_up"
        at, error = result.status.message.split("t = ")[1].split(",")[0].split(" ± ")
        assert abs(float(at) - time) <= float(error) < 1e-3
        assert result.status.message.endswith(power)
        assert said(result, "blow up")


def test_the_time_to_a_blow_up_is_known_before_it(monkeypatch):
    """x' = ‖x‖² x at t = 0.3: the power law holds from the start, and its end is at 0.4."""
    module = sys.modules["flowsim.simulation.blow_up"]
    monkeypatch.setattr(module, "_NEAR", 1.0)
    monkeypatch.setattr(module, "_GROWN", 1.0)
    problem = P(lambda p: -(jnp.sum(p["x"] ** 2) ** 2) / 4, {"x": jnp.array([1.0, 0.5])})
    result = run(problem, 0.3, rtol=1e-9, atol=1e-11)
    found = module.blow_up(result.prepared.plan, result.carry)
    assert found.time == pytest.approx(0.4, rel=1e-7)
    assert found.power == pytest.approx(2, rel=1e-6)


def test_exponential_growth_is_no_blow_up():
    result = run(P(lambda p: -(p["x"] ** 2) / 2, {"x": 1.0}), 2000.0, certificate=False)
    assert result.status.kind == "not_finite"


@pytest.mark.parametrize("solver", ["auto", "lean4"])
def test_a_risk_that_ceases_to_be_finite_is_a_failure(solver):
    """Its gradient is finite all the way."""
    problem = P(lambda p: jnp.where(p["x"] > 0.5, p["x"] ** 2 / 2, p["x"] ** 2 / 2 + jnp.nan), {"x": 1.0})
    result = run(problem, 3.0, save_times=np.linspace(0, 3, 20), solver=solver)
    assert result.status.kind == "not_finite"
    assert solver == "auto" or len(result.trajectory.time) > 3  # lean4 keeps no state from before, and what it saved
    assert np.all(np.isfinite(result.trajectory.values["loss"]))
    assert math.isinf(result.certificate.relative_error)


def test_a_start_below_the_absolute_tolerance_is_said():
    result = run(P(lambda p: -jnp.sum(p["x"] ** 2) / 2, {"x": jnp.full(2, 1e-12)}), 1.0)
    assert any("lower atol to 1e-20" in warning for warning in result.certificate.warnings)
    assert run(P(lambda p: p["x"] ** 2, {"x": 1.0}), 1.0).certificate.warnings == ()


def test_a_velocity_that_is_not_the_gradient_is_doubted():
    """Two integrations of it agree, to 5e-8, and say nothing of where it comes from."""
    problem = P(lambda p: (p[0] * jax.lax.stop_gradient(p[0]) + p[1] ** 2) / 2, jnp.ones(2))
    certificate = run(problem, 1.0).certificate
    assert certificate.energy_identity > 0.1
    assert any("stop_gradient" in warning for warning in certificate.warnings)
    assert not certificate.withheld


def test_a_withheld_bound_is_withheld_in_summary_terminal_and_report(tmp_path):
    """The report called a run past a kink "far below what a figure here can show"."""
    result = run(P(lambda p: p["x"] + jax.nn.relu(p["x"] - 0.3) + jax.nn.relu(p["x"] + 1), {"x": 1.0}), 5.0)
    folder = result.save(tmp_path / "run")
    summary = flowsim.load(folder).summary
    assert summary.certificate.relative_error is None
    assert "kink" in summary.certificate.warnings[0]
    terminal = next(line for line in summary_text(summary).splitlines() if line.split()[0] == "certificate")
    page = rebuild(folder).report.read_text("utf8")
    assert "could not measure the error" in terminal
    assert "kink" in terminal
    assert "gives no bound on the numerical error" in page
    assert "far below what a figure" not in page
    assert "loss_error" not in result.dataset
