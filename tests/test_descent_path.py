"""The flow read at many times of a step: the dense output itself, of every solver, and through a stage's end."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flowsim
from flowsim import flows
from flowsim.descent.against import Against
from flowsim.descent.beside import beside
from flowsim.descent.path import NODES, nodes
from flowsim.descent.track import Track

START = jnp.array([1.0, -0.5, 0.3])
SCALES = jnp.array([3.0, 1.0, 0.2])


def problem():
    return flowsim.Problem.from_loss(lambda x: jnp.sum(SCALES * (jnp.cosh(x) - 1)) + x[0] * x[1] / 4, START)


@pytest.mark.parametrize("count", [1, NODES, NODES + 1, 300])
def test_a_polynomial_is_given_back(count):
    rng = np.random.default_rng(count)
    polynomial = np.polynomial.Polynomial(rng.normal(size=NODES), domain=(2.0, 5.0))
    times = np.sort(rng.uniform(2.0, 5.0, count))
    where, weights = nodes(2.0, 5.0, times)
    assert len(where) <= NODES
    assert np.all(np.diff(where) > 0) and where[0] >= 2.0 and where[-1] <= 5.0  # noqa: PT018
    np.testing.assert_allclose(weights[:, : len(where)] @ polynomial(where), polynomial(times), rtol=1e-11, atol=1e-12)
    assert not weights[:, len(where) :].any()


def test_a_time_at_a_node_is_the_node():
    where, _ = nodes(-1.0, 1.0, np.linspace(-1, 1, 50))
    again, weights = nodes(-1.0, 1.0, np.concatenate([[-1.0, -0.999], where]))
    np.testing.assert_array_equal(again, where)
    np.testing.assert_allclose(weights[2:], np.eye(NODES), atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("solver", "eta"),  # more times in a step than nodes; the last: fewer
    [("auto", 0.002), ("dop853", 0.002), ("tsit5", 0.002), ("stabilized4", 0.002), ("auto", 0.4)],
)
def test_distances_are_to_the_flow_that_simulate_saves(solver, eta):
    steps = round(2.0 / eta)
    times = eta * np.arange(steps + 1)
    options = {"rtol": 1e-5, "atol": 1e-7, "solver": solver, "reduction": "none"}
    against = Against(learning_rate=eta, steps=steps, **options)
    prepared = against.prepared(problem())
    track = Track(problem(), prepared.reduction, optax.sgd(0.0), eta, np.zeros(0, int))  # stays where it is
    found = beside(prepared, track, edge=None, at=np.zeros(0, int))
    flow = flowsim.simulate(
        problem(), t1=float(times[-1]), save_times=times, probes={"x": lambda x: x}, certificate=False, **options
    )
    path = flow.trajectory.values["x"]
    np.testing.assert_allclose(found.distance, np.linalg.norm(path - START, axis=1), rtol=0, atol=2e-14)
    np.testing.assert_allclose(found.travelled, np.max(found.distance), rtol=0, atol=2e-14)
    assert found.distance.shape == (steps + 1,)


@pytest.mark.slow
def test_a_step_that_a_stage_cuts_is_read_as_far_as_it_went():
    """x decays alone until it is 1/2, then y does: both exponentials, and the kink at ln 2 is inside a step."""
    start = {"x": jnp.ones(1), "y": jnp.ones(1)}
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(p["x"] ** 2 + p["y"] ** 2) / 2, start)
    event = flowsim.events.crossing("half", lambda t, p: p["x"][0] - 0.5, direction="down")
    flow = flows.staged([{"train": ["x"], "until": "half"}, {"train": ["y"]}])
    steps, eta = 400, 0.005
    against = Against(learning_rate=eta, steps=steps, flow=flow, events=[event], rtol=1e-10, atol=1e-12)
    prepared = against.prepared(problem)
    track = Track(problem, prepared.reduction, optax.sgd(0.0), eta, np.zeros(0, int))
    found = beside(prepared, track, edge=None, at=np.zeros(0, int))
    times = eta * np.arange(steps + 1)
    x, y = np.exp(-np.minimum(times, np.log(2))), np.exp(-np.maximum(times - np.log(2), 0))
    np.testing.assert_allclose(found.distance, np.hypot(1 - x, 1 - y), rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.crossings["half"], np.log(2), rtol=1e-9)
