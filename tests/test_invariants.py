"""Laws of conservation are found from the risk alone, or declared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.certificate import Pair, find
from flowsim.invariants import Product, drift

X = jax.random.normal(jax.random.key(0), (6, 4))
Y = jnp.array([1.0, -2.0, 0.5, 0.3, -0.7, 1.1])


def product(p):
    return jnp.mean((X @ (p["u"] * p["v"]) - Y) ** 2)


def difference(p):
    return jnp.mean((X @ (p["u"] ** 2 - p["v"] ** 2) - Y) ** 2)


def scaled(p):
    return jnp.mean((p["u"] * jnp.tanh(X) @ p["v"] - Y) ** 2)


def rectified(p):
    return jnp.mean((jax.nn.leaky_relu(X @ p["u"]) @ p["v"] - Y) ** 2)


def bent(p):
    return jnp.mean((jnp.tanh(X @ p["u"]) * p["v"][0] - Y) ** 2)


U, V = jnp.array([0.5, 0.2, -0.3, 0.7]), jnp.array([0.1, -0.6, 0.4, 0.2])
CASES = {
    "u∘v": (product, {"u": U, "v": V}, "squares"),
    "u∘u - v∘v": (difference, {"u": U, "v": V}, "product"),
    "a scalar times a vector": (scaled, {"u": jnp.array(0.5), "v": V}, "norms"),
    "layers with a homogeneous activation": (
        rectified, {"u": jax.random.normal(jax.random.key(1), (4, 3)), "v": jnp.array([0.4, -0.2, 0.9])}, "norms"),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_laws_are_found_and_hold(name):
    risk, start, quantity = CASES[name]
    problem = flowsim.Problem.from_loss(risk, start)
    laws = find(problem)
    assert [law.quantity for law in laws if isinstance(law, Pair)][:1] == [quantity]
    result = flowsim.simulate(problem, t1=3.0, solver="dopri8", rtol=1e-10, atol=1e-12)
    u, v = result.parameters["u"], result.parameters["v"]
    of = {
        "squares": lambda u, v: u**2 - v**2,
        "product": lambda u, v: u * v,
        "norms": lambda u, v: jnp.sum(u**2) - jnp.sum(v**2),
    }[quantity]
    np.testing.assert_allclose(of(u, v), of(start["u"], start["v"]), rtol=1e-7, atol=1e-9)
    assert max(result.certificate.invariants.values()) < 1e-7


def test_none_where_there_is_none():
    assert find(flowsim.Problem.from_loss(bent, {"u": U, "v": jnp.array([0.3])})) == ()


def test_laws_that_follow_from_finer_ones_are_left_out():
    model = flowsim.models.DeepLinear(sizes=(3, 4, 4, 2), key=jax.random.key(0))
    task = flowsim.tasks.regression(samples=7, features=3, outputs=2, key=jax.random.key(1))
    problem = flowsim.Problem(model, task, loss="squared")
    assert [law.leaves for law in find(problem)] == [(0, 1), (1, 2)]


@pytest.mark.slow
def test_a_declared_law_is_measured():
    laws = {"energy": lambda p: p["x"][0] ** 2 - p["x"][1] ** 2, "not one": lambda p: p["x"][0]}
    problem = flowsim.Problem.from_loss(lambda p: (p["x"][0] * p["x"][1] - 1) ** 2 / 2, {"x": jnp.array([2.0, 0.3])},
                                        conserved=laws)  # fmt: skip
    result = flowsim.simulate(problem, t1=5.0, rtol=1e-9, atol=1e-11)
    drifts = result.certificate.invariants
    assert drifts["energy"] < 1e-8
    start, end = 2.0, float(result.parameters["x"][0])
    np.testing.assert_allclose(drifts["not one"], abs(end - start) / max(start, end), rtol=1e-9)


@pytest.mark.parametrize("size", [1.0, 1e-9, 1e12])
@pytest.mark.parametrize("moved", [0.0, 1e-14, 1e-3])
@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (300, 4)])
def test_a_small_drift_of_a_product_has_its_digits(shape, moved, size):
    """However small the drift and the weights; the oracle subtracts in extended precision."""
    draw = np.random.default_rng(0)
    start = [size * draw.normal(size=shape) for _ in "ab"]
    end = [x * (1 + moved * draw.normal(size=shape)) for x in start]
    law = Product("pair", (0, 1), (0, 0))
    found = float(drift(law, *(tuple(map(jnp.asarray, point)) for point in (start, end))))
    (a, b), (c, d) = ([np.asarray(x, np.longdouble) for x in point] for point in (start, end))
    change = (c @ c.T - d @ d.T) - (a @ a.T - b @ b.T)
    scale = np.linalg.norm((c @ c.T).astype(float)) + np.linalg.norm((d @ d.T).astype(float))
    expected = np.linalg.norm(change.astype(float)) / scale
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-30)
