"""Risks whose rules of differentiation are a user's own, or that are not smooth in their value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.simulation import Settings, prepare

START = {"x": jnp.array([1.0, 2.0])}


def half_square(x):
    return 0.5 * jnp.sum(x**2)


def ruled(*, forward=half_square, factor=1.0):
    """Half a square with its own gradient. `forward`: of its rule; None for itself, as in JAX's guide."""

    @jax.custom_vjp
    def loss(x):
        return half_square(x)

    loss.defvjp(lambda x: ((loss if forward is None else forward)(x), x), lambda x, g: (factor * g * x,))
    return flowsim.Problem.from_loss(lambda p: loss(p["x"]), START)


def jumping(p):
    return half_square(p["x"]) + jnp.where(p["x"][0] > 0.5, 1.0, 0.0)


def test_stiff_methods_need_a_second_derivative():
    """They ended in JAX's own error, `auto` in the middle of a run."""
    with pytest.raises(ValueError, match="twice, which a custom_vjp in it forbids"):
        prepare(ruled(forward=None), Settings(1.0, solver="stabilized"))
    assert prepare(ruled(forward=None), Settings(1.0)).stiff == ()
    assert prepare(ruled(), Settings(1.0)).stiff
    assert prepare(ruled(), Settings(1.0, solver="exponential"))


@pytest.mark.slow
def test_auto_stays_explicit_on_a_stiff_risk_without_a_second_derivative():
    rates = jnp.array([1e4, 1.0])

    @jax.custom_vjp
    def loss(x):
        return 0.5 * jnp.sum(rates * x**2)

    loss.defvjp(lambda x: (loss(x), x), lambda x, g: (g * rates * x,))
    result = flowsim.simulate(flowsim.Problem.from_loss(lambda p: loss(p["x"]), START), t1=0.1, rtol=1e-4)
    assert result.status.ok
    assert float(result.parameters["x"][1]) == pytest.approx(2 * np.exp(-0.1), rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "problem",
    [ruled(factor=2.0), flowsim.Problem.from_loss(jumping, START)],
    ids=["another gradient", "a jump"],
)
def test_a_risk_that_falls_by_another_amount_is_doubted(problem):
    """Its energy identity was off by half, and the certificate had no word for it."""
    certificate = flowsim.simulate(problem, t1=1.0, solver="bosh3", rtol=1e-4, certificate=True).certificate
    assert certificate.energy_identity > 0.1
    assert ["the risk fell by another amount" in warning for warning in certificate.warnings] == [True]


@pytest.mark.slow
def test_a_coarse_quadrature_is_no_doubt():
    """One long exponential step has a coarse integral of ‖∇L‖²; a tighter run has not."""
    rates = jnp.array([1e5, 1.0])
    problem = flowsim.Problem.from_loss(lambda p: 0.5 * jnp.sum(rates * p["x"] ** 2), START)
    certificate = flowsim.simulate(problem, t1=3.0, solver="exponential", rtol=1e-3, certificate=True).certificate
    assert certificate.energy_identity > 0.1
    assert certificate.warnings == ()


def test_runs_that_step_together_are_doubted_alike():
    def jumps(start):
        return flowsim.Problem.from_loss(jumping, {"x": start})

    starts = jnp.array([[1.0, 2.0], [0.4, 1.0]])  # only the first one meets the jump
    found = flowsim.ensemble.simulate(jumps, starts, t1=1.0, solver="bosh3", rtol=1e-4, certificate=True)
    met, not_met = (member.certificate.warnings for member in found.members)
    assert "the risk fell by another amount" in met[0]
    assert not_met == ()
