"""Laws that the flow obeys whatever the code: closed forms, hand-written gradients, and other people's integrators."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import flowsim

from .problems import reference


def test_hand_written_gradient():
    """Specification section 4: dW/dt = -a (W_V ∂G)ᵀ, dW_V/dt = -u ∂Gᵀ, dW_K/dt = -W_Q ∂Sᵀ/√m, dW_Q/dt = -W_K ∂S/√m."""
    problem, arrays = reference()
    weights = {k: arrays[k] for k in ("W", "W_V", "W_K", "W_Q", "a")}
    m = weights["W"].shape[1]

    def loss(G, S):
        def predict(tokens):
            return jnp.sum(G[tokens] @ jax.nn.softmax(S[tokens][:, tokens], axis=0))

        margins = arrays["labels"] * jax.vmap(predict)(jnp.asarray(arrays["tokens"]))
        return jnp.mean(jnp.log1p(jnp.exp(-margins)))

    u = weights["W"].T @ weights["a"]
    G, S = u @ weights["W_V"], weights["W_K"].T @ weights["W_Q"] / np.sqrt(m)
    dG, dS = jax.grad(loss, (0, 1))(jnp.asarray(G), jnp.asarray(S))
    expected = {
        "W": -jnp.outer(weights["a"], weights["W_V"] @ dG),
        "W_V": -jnp.outer(u, dG),
        "W_K": -weights["W_Q"] @ dS.T / np.sqrt(m),
        "W_Q": -weights["W_K"] @ dS / np.sqrt(m),
    }
    velocity, rate = problem.velocity(problem.parameters)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(velocity, name), value, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(rate, sum(np.sum(np.asarray(v) ** 2) for v in expected.values()), rtol=1e-11)


def test_linear_flow_is_the_matrix_exponential():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    matrix, start = root @ root.T / 5, rng.normal(size=5)
    problem = flowsim.Problem.from_loss(lambda x: x @ jnp.asarray(matrix) @ x / 2, jnp.asarray(start))
    result = flowsim.simulate(problem, t1=3.0, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(result.parameters, expm(-3.0 * matrix) @ start, rtol=0, atol=1e-11)


def test_euler_is_gradient_descent():
    """Euler's method of step η and Optax's sgd of learning rate η take the same steps, to rounding."""
    problem, _ = reference()
    eta, steps = 0.05, 40
    result = flowsim.simulate(problem, t1=eta * steps, solver="euler", step=eta, reduction="none")
    descent = flowsim.descent.descend(problem, optax.sgd(eta), learning_rate=eta, steps=steps)
    assert result.solver.steps == steps
    for ours, theirs in zip(jax.tree.leaves(result.parameters), jax.tree.leaves(descent.parameters), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    np.testing.assert_allclose(result.final["loss"], descent.trajectory.values["loss"][-1], rtol=1e-12)


def test_scipy_agrees():
    problem, _ = reference()
    flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
    gradient = jax.jit(lambda x: jax.flatten_util.ravel_pytree(jax.grad(problem.risk)(unravel(x)))[0])
    theirs = solve_ivp(
        lambda t, x: -np.asarray(gradient(x)), (0, 5.0), np.asarray(flat), "DOP853", rtol=1e-12, atol=1e-14
    )
    ours = flowsim.simulate(problem, t1=5.0, rtol=1e-12, atol=1e-14, reduction="none")
    got = jax.flatten_util.ravel_pytree(ours.parameters)[0]
    assert np.linalg.norm(got - theirs.y[:, -1]) < 1e-10 * np.linalg.norm(theirs.y[:, -1] - np.asarray(flat))


def test_saved_times_do_not_change_the_steps():
    problem, _ = reference()
    options = {"t1": 5.0, "solver": "dopri8"}  # whose chunks end with their rows; those of `auto` sooner
    few = flowsim.simulate(problem, save_times=[0.0, 5.0], **options)
    many = flowsim.simulate(problem, save_times=np.linspace(0, 5, 700), **options)  # more than one chunk's rows
    assert few.solver.steps == many.solver.steps
    for x, y in zip(jax.tree.leaves(few.parameters), jax.tree.leaves(many.parameters), strict=True):
        np.testing.assert_array_equal(x, y)
    assert many.trajectory.time.shape == (700,)
    assert np.all(np.diff(many.trajectory.values["loss"]) < 0)


@pytest.mark.slow
def test_events_do_not_change_the_steps():
    problem, _ = reference()
    plain = flowsim.simulate(problem, t1=5.0)
    watched = flowsim.simulate(problem, t1=5.0, events=[flowsim.events.phase1_end(), flowsim.events.loss_below(0.3)])
    assert plain.solver.steps == watched.solver.steps
    np.testing.assert_array_equal(plain.trajectory.values["loss"], watched.trajectory.values["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["tsit5", "dopri8"])
def test_long_horizon(solver):
    """A logistic loss falls like 1/t: the steps grow with t, so 10⁸ costs little more than 10²."""
    problem, _ = reference()
    short = flowsim.simulate(problem, t1=1e2, solver=solver)
    long = flowsim.simulate(problem, t1=1e8, solver=solver)
    assert np.isfinite(long.final["loss"])
    assert long.final["loss"] < 1e-6
    assert long.solver.steps < 5 * short.solver.steps
    assert long.energy_identity < 1e-5


def test_nested_pytrees_keep_their_shape():
    start = {"a": (jnp.ones((2, 3)), {"b": 0.5, "n": 7}), "c": [np.float64(2.0)]}

    def loss(p):
        return jnp.sum(p["a"][0] ** 2) + (p["a"][1]["b"] - 1) ** 2 * p["a"][1]["n"] + p["c"][0] ** 4

    result = flowsim.simulate(flowsim.Problem.from_loss(loss, start), t1=1.0, probes={"b": lambda p: p["a"][1]["b"]})
    end = result.parameters
    assert jax.tree.structure(end) == jax.tree.structure(start)
    assert end["a"][1]["n"] == 7
    np.testing.assert_allclose(end["a"][0], np.exp(-2.0), rtol=1e-7)
    np.testing.assert_allclose(end["a"][1]["b"], 1 - 0.5 * np.exp(-14.0), rtol=1e-7)
    np.testing.assert_allclose(end["c"][0], 1 / np.sqrt(8 + 1 / 4), rtol=1e-7)
    np.testing.assert_allclose(result.trajectory.values["b"][-1], end["a"][1]["b"])


def test_float32_keeps_time_on_a_long_run():
    """In float32 a clock without compensation would stand still at steps of t/10⁷."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(jnp.cosh(x)) * 100, jnp.asarray([0.5, -0.3], jnp.float32))
    result = flowsim.simulate(problem, t1=3000.0, solver="heun", step=0.01, rtol=1e-4, atol=1e-6)
    assert result.status.kind == "done"
    assert abs(result.solver.steps - 300_000) <= 1
    assert result.parameters.dtype == jnp.float32


def test_dense_output_is_paid_for_where_it_is_read():
    """`dop853` takes 12 evaluations a step, and 3 more on a step from which a row is read; the curve is the flow's."""
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(p**4) / 4, jnp.asarray([1.0, -0.5]))
    ends, row = (
        flowsim.simulate(problem, t1=5.0, solver="dop853", save_times=times, probes={"p": lambda p: p})
        for times in ([0.0, 5.0], [0.0, 2.0, 5.0])
    )
    tried = ends.solver.steps + ends.solver.rejected
    assert ends.solver.vector_field_evaluations == 12 * tried + 2  # the first slope, and one to size the first step
    assert row.solver.vector_field_evaluations == ends.solver.vector_field_evaluations + 3
    exact = np.array([1.0, -0.5]) / np.sqrt(1 + 2 * 2.0 * np.array([1.0, -0.5]) ** 2)
    np.testing.assert_allclose(row.dataset["p"][1], exact, rtol=1e-7)
