"""Descent against the flow and the modified flow: closed forms, brute force, orders, and what is refused."""

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import expm

import flowsim
from flowsim import compare, flows
from flowsim.descent.against import _first_crossing

from .problems import reference
from .test_reductions import wide

ROOT = np.random.default_rng(0).normal(size=(4, 4))
HESSIAN = ROOT @ ROOT.T / 4
START = np.array([1.0, -0.5, 0.3, 0.8])


def quadratic():
    return flowsim.Problem.from_loss(lambda x: x @ jnp.asarray(HESSIAN) @ x / 2, jnp.asarray(START))


def falls():
    return flowsim.events.crossing("falls", lambda t, x: x[3] - 0.3, direction="down", terminal=True)


def norm(x):
    return np.linalg.norm(x, axis=-1)


def modified(eta):
    return HESSIAN + eta / 2 * HESSIAN @ HESSIAN


def path(matrix, times):
    return np.array([expm(-t * matrix) @ START for t in times])


def iterates(eta, steps):
    found = [START]
    for _ in range(steps):
        found.append(found[-1] - eta * HESSIAN @ found[-1])
    return np.array(found)


def test_rows_stand_at_their_own_steps():
    eta, steps = 0.1, 37
    found = flowsim.descent.descend(quadratic(), optax.sgd(eta), learning_rate=eta, steps=steps, points=6).trajectory
    assert found.time[0] == 0
    np.testing.assert_allclose(found.time[-1], steps * eta, rtol=1e-15)
    states = iterates(eta, steps)[np.rint(found.time / eta).astype(int)]
    np.testing.assert_allclose(found.values["loss"], np.sum(states @ HESSIAN * states, axis=1) / 2, rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["gradient", "modified"])
def test_distances_and_tube_are_those_of_the_closed_form(kind):
    """Every number against a computation that looks at all steps with the matrix exponential."""
    eta, steps, tube = 0.1, 80, 0.01 if kind == "gradient" else 2e-4
    flow = flows.gradient() if kind == "gradient" else flows.modified_gradient(eta)
    drift = compare.against_flow(
        quadratic(), optax.sgd(eta), learning_rate=eta, steps=steps, flow=flow, tube=tube, edge_points=4, points=30
    )
    times = eta * np.arange(steps + 1)
    there = path(HESSIAN if kind == "gradient" else modified(eta), times)
    relative = norm(iterates(eta, steps) - there)[1:] / norm(there - START).max()
    np.testing.assert_allclose(drift.distance, relative[drift.recorded - 1], rtol=1e-5)
    np.testing.assert_allclose(drift.final_distance, relative[-1], rtol=1e-6)
    np.testing.assert_allclose(drift.largest_distance, relative.max(), rtol=1e-5)
    assert drift.largest_step == 1 + np.argmax(relative)
    assert drift.exit_step == 1 + np.argmax(relative > tube)
    np.testing.assert_allclose(drift.edge, eta * np.linalg.eigvalsh(HESSIAN)[-1], rtol=1e-9)
    assert drift.beyond_edge is None


def late():
    """Descent leaves the tube in the middle of the run: flat ground, then a cliff."""
    return flowsim.Problem.from_loss(lambda x: -x[0] + 0.3 * jnp.cosh(x[0] - 3), jnp.zeros(1))


@pytest.mark.slow
def test_leaving_the_tube_late_is_found_at_its_step():
    """Against steps and a flow that are computed apart, where the distance rises and falls."""
    eta, steps, problem = 0.02, 500, late()
    slope = jax.grad(problem.risk)
    x, found = problem.parameters, []
    for _ in range(steps):
        x = x - eta * slope(x)
        found.append(float(x[0]))
    times = eta * np.arange(steps + 1)
    flow = flowsim.simulate(problem, t1=times[-1], rtol=1e-12, atol=1e-13, save_times=times, probes={"x": lambda x: x})
    there = flow.trajectory.values["x"][1:, 0]
    relative = np.abs(np.array(found) - there) / np.abs(there).max()
    tube = 0.98 * relative.max()
    first = 1 + int(np.argmax(relative > tube))
    drift = compare.against_flow(problem, optax.sgd(eta), learning_rate=eta, steps=steps, tube=tube, points=2)
    assert drift.exit_step == first
    calm = compare.against_flow(problem, optax.sgd(eta), learning_rate=eta, steps=steps, tube=1.02 * relative.max())
    assert calm.exit_step is None


def test_the_shift_of_an_event_is_the_closed_forms():
    eta = 0.05
    drift = compare.against_flow(quadratic(), optax.sgd(eta), learning_rate=eta, steps=100, events=[falls()])
    values = iterates(eta, 100)[:, 3] - 0.3
    k = np.argmax(values < 0)
    linear = eta * (k - 1 + values[k - 1] / (values[k - 1] - values[k]))
    shift = drift.events["falls"]
    assert shift.flow is not None
    assert shift.descent is not None
    np.testing.assert_allclose(shift.descent, linear, rtol=1e-12)
    np.testing.assert_allclose((expm(-shift.flow * HESSIAN) @ START)[3], 0.3, atol=1e-9)
    assert shift.shift == shift.descent - shift.flow
    assert drift.steps == 100  # a terminal event does not end the comparison


@pytest.mark.parametrize(
    ("values", "direction", "time"),
    [
        ([-1.0, 1.0, -1.0], "up", 0.5),
        ([-1.0, 1.0, -3.0], "down", 1.25),
        ([1.0, 0.0, 1.0, -1.0], "both", 2.5),
        ([-1.0, 0.0, 1.0], "up", 1.0),
        ([0.0, 1.0, 2.0], "both", None),
        ([-1.0, np.nan, 1.0], "both", None),
        ([1.0, 2.0], "down", None),
    ],
)
def test_crossings_of_iterates(values, direction, time):
    found = _first_crossing(np.arange(len(values), dtype=float), np.array(values), direction)
    assert found == time


@pytest.mark.slow
def test_orders_on_a_quadratic():
    found = compare.descent_order(quadratic(), [0.04, 0.02, 0.01, 0.005], 4.0, events=[falls()])
    assert found.order is not None
    assert found.modified_order is not None
    assert abs(found.order.order - 1) < 0.05
    assert abs(found.modified_order.order - 2) < 0.1
    for drift in found.to_modified:
        there = path(modified(drift.learning_rate), [4.0])[0]
        exact = norm(iterates(drift.learning_rate, drift.steps)[-1] - there) / norm(there - START)
        np.testing.assert_allclose(drift.final_distance, exact, rtol=1e-5)
    shift = next(f for f in found.fits if f.quantity == "falls" and f.against == "gradient flow")
    assert shift.order is not None
    assert abs(shift.order.order - 1) < 0.05
    data = found.dataset()
    np.testing.assert_array_equal(data["final_distance"].sel(against="modified flow"),
                                  [d.final_distance for d in found.to_modified])  # fmt: skip
    assert len(found.table().splitlines()) == 2 + 8 + len(found.fits)


@pytest.mark.slow
def test_orders_on_the_transformer():
    """Issue 7: 1 ± 0.05 against the flow and 2 ± 0.1 against the modified flow."""
    problem, _ = reference()
    found = compare.descent_order(problem, [0.08, 0.04, 0.02, 0.01], 4.0)
    assert found.order is not None
    assert found.modified_order is not None
    assert abs(found.order.order - 1) < 0.05, found.table()
    assert abs(found.modified_order.order - 2) < 0.1, found.table()
    assert all(m.final_distance < 0.3 * f.final_distance for f, m in zip(found.to_flow, found.to_modified, strict=True))


@pytest.mark.slow
def test_the_reduction_changes_no_distance():
    """Descent in the flow's reduced coordinates is descent: orthonormal coordinates of a subspace that holds it."""
    full, small = (
        compare.against_flow(
            wide(), optax.sgd(0.1, momentum=0.5), reduction=name, learning_rate=0.1, steps=40, rtol=1e-9
        )
        for name in ("none", "auto")
    )
    np.testing.assert_allclose(small.distance, full.distance, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["readout", "rotation", "vocabulary"])
def test_reductions_are_exact_for_the_modified_flow(name):
    """Gradients stay in the subspace, so the Hessian's images of them do: away from the start the reduced velocity,
    lifted, is the full one, and the energies are the same."""
    problem, flow, zero = wide(unseen=2), flows.modified_gradient(0.5), jnp.asarray(0.0)
    small = flowsim.reductions.reduce(problem, name)
    lift = small.lift
    assert lift is not None

    @jax.jit
    def both(z):
        for _ in range(2):
            z = jax.tree.map(lambda x, v: x + 0.7 * v, z, flow.velocity(small.problem, zero, z)[0])
        lifted, moved = jax.jvp(lift, (z,), (flow.velocity(small.problem, zero, z)[0],))
        energies = flow.energy(small.problem, z), flow.energy(problem, lifted)
        return moved, flow.velocity(problem, zero, lifted)[0], problem.velocity(lifted)[0], energies

    *velocities, energies = both(small.problem.parameters)
    lifted, full, plain = (jax.flatten_util.ravel_pytree(v)[0] for v in velocities)
    assert norm(lifted - full) < 1e-13 * norm(full)
    assert norm(full - plain) > 1e-2 * norm(full)  # η matters here
    np.testing.assert_allclose(*energies, rtol=1e-13)


def test_the_modified_flow_dissipates_its_own_risk():
    eta = 0.2
    result = flowsim.simulate(quadratic(), t1=5.0, flow=flows.modified_gradient(eta), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result.parameters, path(modified(eta), [5.0])[0], atol=1e-10)
    assert result.energy_identity < 1e-9
    problem, _ = reference()
    flow, z = flows.modified_gradient(eta), problem.parameters
    velocity, rate = jax.jit(lambda z: flow.velocity(problem, jnp.asarray(0.0), z))(z)
    slope = jax.jit(jax.grad(lambda z: flow.energy(problem, z)))(z)
    for v, g in zip(jax.tree.leaves(velocity), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(v, -g, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(rate, sum(np.sum(np.asarray(g) ** 2) for g in jax.tree.leaves(slope)), rtol=1e-10)


@pytest.mark.slow
def test_beyond_the_edge_descent_diverges_and_says_so():
    top = np.linalg.eigvalsh(HESSIAN)[-1]
    eta = 2.2 / top
    drift = compare.against_flow(quadratic(), optax.sgd(eta), learning_rate=eta, steps=8000, edge_points=5)
    assert drift.beyond_edge == pytest.approx(eta)
    assert drift.largest_distance == np.inf
    assert np.all(np.isfinite(drift.distance))
    record = drift.record()
    assert record["final_distance"] is None
    assert record["edge"]["largest"] == pytest.approx(2.2)
    fits = compare.fitted_orders(
        [drift, compare.against_flow(quadratic(), optax.sgd(eta / 2), learning_rate=eta / 2, steps=16000)]
    )
    assert fits[0].order is None
    assert fits[0].reason.startswith("1 of 2 learning rates stayed below the edge of stability")


@pytest.mark.slow
def test_orders_are_those_of_stable_learning_rates():
    """One of them is past 2/λ: its distance is an oscillation's. Two give no interval, and no order is said."""
    edge = 2 / np.linalg.eigvalsh(HESSIAN)[-1]
    rates = [1.05 * edge, 0.04, 0.02, 0.01]
    drifts = [
        compare.against_flow(quadratic(), optax.sgd(eta), learning_rate=eta, steps=round(2.0 / eta), edge_points=3)
        for eta in rates
    ]
    final = compare.fitted_orders(drifts[1:])[0]
    with_it = compare.fitted_orders([dataclasses.replace(drifts[0], steps=200, step_time=0.01), *drifts[1:]])[0]
    assert with_it.learning_rates == final.learning_rates == (0.04, 0.02, 0.01)
    assert with_it.order == final.order
    assert abs(final.order.order - 1) < 0.05
    assert str(final) == f"{final.order.order:.3f} ± {final.order.standard_error:.2g} (3 learning rates)"
    assert str(compare.fitted_orders(drifts[2:])[0]) == "none: two learning rates give no interval, three do"
    lone = compare.fitted_orders([dataclasses.replace(drifts[0], steps=200, step_time=0.01), drifts[1]])[0]
    assert lone.reason.startswith("1 of 2 learning rates stayed below the edge of stability")


def test_fitted_order_of_a_power_law_with_noise():
    """Slope and standard error are NumPy's."""
    steps = np.array([0.1, 0.05, 0.02, 0.01])
    errors = 3 * steps**1.5 * np.exp([0.1, -0.05, 0.02, 0.0])
    found, (expected, covariance) = (
        compare.fit_order(steps, errors),
        np.polyfit(np.log(steps), np.log(errors), 1, cov=True),
    )
    assert found.order == pytest.approx(expected[0])
    assert found.standard_error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert compare.fit_order(steps[:2], errors[:2]).standard_error is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: compare.descent_order(p, [0.1], 1.0), "two or more different"),
        (lambda p: compare.descent_order(p, [0.1, 0.1], 1.0), "two or more different"),
        (lambda p: compare.descent_order(p, [0.1, -0.1], 1.0), "> 0"),
        (lambda p: compare.descent_order(p, [0.1, 0.03], 1.0), "whole number of steps"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.0, steps=3), "learning_rate"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.1, steps=0), "steps"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.1, steps=3, tube=0.0), "tube"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.1, steps=3, points=1), "points"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.1, steps=3, reduction="gram"), "Gram"),
        (lambda p: compare.against_flow(p, optax.sgd(0.1), learning_rate=0.1, steps=90, max_steps=2), "flow ended"),
        (lambda p: flows.modified_gradient(0.0), "step must be > 0"),
        (lambda p: flows.modified_gradient(float("inf")), "step must be > 0"),
        (lambda p: compare.fit_order([0.1, 0.2], [1.0, 0.0]), "> 0 and finite"),
        (lambda p: compare.fit_order([0.1, 0.1], [1.0, 2.0]), "two different steps"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(quadratic())


def test_the_modified_flow_has_no_gram_system():
    with pytest.raises(ValueError, match="Gram"):
        flowsim.simulate(wide(), t1=1.0, flow=flows.modified_gradient(0.1), reduction="gram")
