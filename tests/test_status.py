"""A numerical failure is a result: its cause, the last good time, and a remedy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.simulation import Settings, prepare, run
from flowsim.solvers.method import check_tolerances


def test_step_limit():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) * 500, jnp.ones(2))
    result = flowsim.simulate(problem, t1=100.0, solver="dopri8", max_steps=50)
    assert result.status.kind == "step_limit"
    assert not result.status.ok
    assert "max_steps" in result.status.remedy
    assert 0 < result.status.time < 100
    assert result.trajectory.time[-1] == result.status.time
    assert result.solver.steps + result.solver.rejected == 50
    assert all(np.isfinite(v).all() for v in result.trajectory.values.values())


def test_the_step_limit_counts_refused_steps_of_all_chunks():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) * 500, jnp.ones(2))
    prepared = prepare(problem, Settings(100.0, "tsit5", 1e-6, 1e-8, max_steps=237), save_times=[100.0])
    history = run(dataclasses.replace(prepared, chunk_steps=20))
    assert history.status.kind == "step_limit"
    assert int(history.carry.rejected) > 20
    assert int(history.carry.steps) + int(history.carry.rejected) == 237


def test_a_risk_that_ends_is_not_finite_from_there_on():
    """dx/dt = 1/(2 sqrt x) backwards: x reaches 0 at t = 4/3, where the square root ends."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(jnp.sqrt(x)), jnp.ones(1))
    result = flowsim.simulate(problem, t1=10.0)
    assert result.status.kind in ("not_finite", "step_size_floor")
    assert abs(result.status.time - 4 / 3) < 1e-4
    assert np.isfinite(result.parameters).all()
    assert result.status.remedy


def test_a_risk_that_is_nan_from_the_start():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x) * jnp.nan, jnp.ones(2))
    with pytest.raises(ValueError, match="not finite"):
        flowsim.simulate(problem, t1=1.0)


def test_blow_up():
    """dx/dt = x² reaches infinity at t = 1."""
    problem = flowsim.Problem.from_loss(lambda x: -jnp.sum(x**3) / 3, jnp.ones(1))
    result = flowsim.simulate(problem, t1=10.0)
    assert result.status.kind == "blow_up"
    assert abs(result.status.time - 1) < 1e-6


def test_fixed_steps_that_blow_up():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**4), jnp.ones(1) * 100)
    result = flowsim.simulate(problem, t1=10.0, solver="euler", step=0.1)
    assert result.status.kind == "not_finite"
    assert np.isfinite(result.parameters).all()


@pytest.mark.slow
def test_certificate_of_a_run_that_was_cut_short():
    """The second integration goes as far as the first came, where the error is known."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) * 500, jnp.ones(2))
    result = flowsim.simulate(problem, t1=100.0, solver="dopri8", rtol=1e-6, atol=1e-8, max_steps=50, certificate=True)
    assert result.status.kind == "step_limit"
    exact = np.exp(-1000 * result.status.time)
    true = np.linalg.norm(np.asarray(result.parameters) - exact) / (np.sqrt(2) * (1 - exact))
    assert result.certificate.withheld == ()
    assert 0 < true <= result.certificate.relative_error < 1e-4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"t1": -1.0}, "t1 must be > 0"),
        ({"t1": float("nan")}, "t1 must be > 0"),
        ({"t1": 1.0, "rtol": 1e-15}, "rtol must be at least"),
        ({"t1": 1.0, "atol": -1.0}, "atol must be > 0"),
        ({"t1": 1.0, "solver": "rk4"}, "unknown solver"),
        ({"t1": 1.0, "solver": "euler"}, "fixed step"),
        ({"t1": 1.0, "reduction": "rotation"}, "does not apply"),
        ({"t1": 1.0, "save_times": [0.5, 0.2]}, "strictly increasing"),
        ({"t1": 1.0, "save_times": [0.5, 2.0]}, "lie in"),
        ({"t1": 1.0, "probes": {"loss": lambda p: p}}, "two probes"),
    ],
)
def test_arguments_that_cannot_be_meant(options, match):
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(2))
    with pytest.raises(ValueError, match=match):
        flowsim.simulate(problem, **options)


def test_tolerances_fit_the_precision_and_the_remedy_names_what_lacks():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(2, jnp.float32))
    by_default = flowsim.simulate(problem, t1=0.1, save_times=[0.1])
    assert by_default.solver.rtol == pytest.approx(1e-5)
    with pytest.raises(ValueError, match="got 1e-08: raise rtol; your parameters are float32, make them float64"):
        flowsim.simulate(problem, t1=1.0, rtol=1e-8)
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match=r'jax\.config\.update\("jax_enable_x64", True\)'):
            check_tolerances(1e-8, 1e-10, jnp.float32)
    finally:
        jax.config.update("jax_enable_x64", True)
    with pytest.raises(ValueError, match=r"got 1e-17: raise rtol\.$"):
        check_tolerances(1e-17, 1e-10, jnp.float64)


def test_problems_that_cannot_be_meant():
    with pytest.raises(ValueError, match="nothing to train"):
        flowsim.Problem.from_loss(lambda p: jnp.zeros(()), {"n": 3})
    with pytest.raises(TypeError, match="scalar"):
        flowsim.Problem.from_loss(lambda x: x, jnp.ones(2))
    with pytest.raises(ValueError, match="real"):
        flowsim.Problem.from_loss(lambda x: jnp.sum(jnp.abs(x)), jnp.ones(2) * 1j)
