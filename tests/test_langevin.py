"""Langevin dynamics against the Ornstein-Uhlenbeck process, and against itself at finer steps of the same noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim

MANY = 4000  # independent coordinates of one quadratic risk: an ensemble in a single path


def quadratic(curvature, start=1.0):
    return flowsim.Problem.from_loss(
        lambda p: curvature * jnp.sum(p["x"] ** 2) / 2 + jnp.sum(p["c"] ** 2),
        {"x": jnp.full(MANY, start), "c": jnp.ones(2)},
    )


@pytest.mark.slow
def test_law_is_that_of_ornstein_and_uhlenbeck():
    """x' = -λx + noise: mean e^(-λt), variance (1 - e^(-2λt))/(βλ), at every time and in the end."""
    rate, beta = 2.0, 5.0
    path = flowsim.langevin(
        quadratic(rate), t1=4.0, inverse_temperature=beta, step=0.05, key=jax.random.key(0), save_times=[0.25, 1.0],
        probes={"x": lambda p: p["x"]},
    )  # fmt: skip
    assert path.status.ok
    assert path.steps == 80
    x, t = path.dataset["x"].values, path.dataset["time"].values
    np.testing.assert_allclose(t, [0, 0.25, 1.0, 4.0], rtol=1e-12)
    variance = -np.expm1(-2 * rate * t) / (beta * rate)
    assert np.all(np.abs(x.mean(axis=1) - np.exp(-rate * t)) <= 5 * np.sqrt(variance / MANY) + 1e-12)
    np.testing.assert_allclose(x.var(axis=1), variance, rtol=5 * np.sqrt(2 / MANY), atol=1e-12)
    np.testing.assert_allclose(x[-1], path.parameters["x"], rtol=1e-12, atol=1e-14)


def _well(p):
    return jnp.sum((p**2 - 1) ** 2) / 4


def double_well():
    return flowsim.Problem.from_loss(_well, jnp.linspace(-1.5, 1.5, 50))  # one function: one compiled program


@pytest.mark.slow
def test_strong_order():
    """Distance to a fine path of the same noise falls as step^(3/2)."""
    steps = np.array([1 / 8, 1 / 16, 1 / 32])
    options = {
        "t1": 1.0,
        "inverse_temperature": 2.0,
        "key": jax.random.key(3),
        "resolution": 2.0**-12,
        "save_times": [],
    }
    ends = [flowsim.langevin(double_well(), step=h, **options).parameters for h in [*steps, 2.0**-9]]
    errors = [float(jnp.sqrt(jnp.mean((end - ends[-1]) ** 2))) for end in ends[:-1]]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - 1.5) < 0.2
    half = flowsim.langevin(double_well(), step=steps[1], check=True, **options).halving
    travelled = jnp.linalg.norm(ends[2] - jnp.linspace(-1.5, 1.5, 50))
    assert half == pytest.approx(float(jnp.linalg.norm(ends[1] - ends[2]) / travelled), rel=1e-9)


@pytest.mark.slow
def test_noise_is_fixed_by_the_key_and_vanishes_when_cold():
    options = {"t1": 1.0, "step": 1 / 64, "save_times": []}
    one, again, other = (
        flowsim.langevin(double_well(), inverse_temperature=2.0, key=jax.random.key(k), **options).parameters
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert float(jnp.max(jnp.abs(one - other))) > 0.1
    cold = flowsim.langevin(double_well(), inverse_temperature=1e20, key=jax.random.key(0), **options).parameters
    exact = flowsim.simulate(double_well(), t1=1.0, save_times=[]).parameters
    np.testing.assert_allclose(cold, exact, atol=2e-4)  # the method is of order 2 without noise


@pytest.mark.slow
def test_a_path_that_blows_up_says_so():
    path = flowsim.langevin(
        quadratic(1e8), t1=100.0, inverse_temperature=1.0, step=1.0, key=jax.random.key(0), save_times=[1.0, 90.0]
    )
    assert path.status.kind == "not_finite"
    assert path.status.time == 1.0
    assert "lower step" in path.status.remedy
    assert np.all(np.isfinite(path.dataset["loss"]))


@pytest.mark.slow
def test_the_papers_model_keeps_its_probes():
    task = flowsim.tasks.cooccurrence(samples=6, length=4, vocabulary=6, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=6, width=4, neurons=4, key=jax.random.key(1))
    path = flowsim.langevin(
        flowsim.Problem(model, task), t1=1.0, inverse_temperature=1e4, step=0.1, key=jax.random.key(2)
    )
    assert {"loss", "min_margin", "attention_score"} <= set(path.dataset)
    assert path.dataset["time"].values[-1] == 1.0
    assert isinstance(path.model, flowsim.models.CooccurrenceTransformer)
    with pytest.raises(ValueError, match="no certificate: the energy identity"):
        _ = path.certificate
    with pytest.raises(ValueError, match="no exact events"):
        _ = path.events


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"t1": 0.0}, "t1 must be > 0"),
        ({"inverse_temperature": float("inf")}, "inverse_temperature must be > 0 and finite"),
        ({"step": -1.0}, "step must be > 0"),
        ({"step": 1e-12}, "raise step"),
        ({"resolution": 0.3}, "resolution must be at most half the step"),
        ({"probes": {"loss": lambda p: p}}, "two probes are named 'loss'"),
    ],
)
def test_what_cannot_be_meant(change, said):
    options = {"t1": 1.0, "inverse_temperature": 1.0, "step": 0.5, "key": jax.random.key(0)} | change
    with pytest.raises(ValueError, match=said):
        flowsim.langevin(double_well(), **options)
