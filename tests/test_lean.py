"""Low-storage methods: their coefficients, their orders, and what a step of them holds."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.simulation import Settings, prepare
from flowsim.simulation.advance import proceed, start
from flowsim.solvers.lean import FIFTH, FOURTH, THIRD, CubicHermite, Lean

SCHEMES = pytest.mark.parametrize("scheme", [THIRD, FOURTH, FIFTH], ids=["lean3", "lean4", "lean5"])
STARTS = np.linspace(0.1, 0.9, 9)


def matrix(scheme):
    """The Butcher matrix that the two registers amount to."""
    a = np.zeros((scheme.stages, scheme.stages))
    for i in range(1, scheme.stages):
        a[i, : i - 1], a[i, i - 1] = scheme.b[: i - 1], scheme.a[i - 1]
    return a


def rooted_trees(a):
    """For each order, the elementary weights of its trees and their densities (Hairer, Nørsett, Wanner I, II.2)."""
    one = np.ones(len(a))
    c = a @ one
    ac, ac2, aac = a @ c, a @ c**2, a @ a @ c
    return {
        1: [(one, 1)],
        2: [(c, 2)],
        3: [(c**2, 3), (ac, 6)],
        4: [(c**3, 4), (c * ac, 8), (ac2, 12), (aac, 24)],
        5: [(c**4, 5), (c**2 * ac, 10), (ac**2, 20), (c * ac2, 15), (a @ c**3, 20), (c * aac, 30),
            (a @ (c * ac), 40), (a @ ac2, 60), (a @ aac, 120)],
    }  # fmt: skip


@SCHEMES
def test_order_conditions(scheme):
    trees = rooted_trees(matrix(scheme))

    def defects(weights, order):
        return [abs(np.dot(weights, value) - 1 / density) for value, density in trees[order]]

    np.testing.assert_allclose(scheme.nodes, matrix(scheme).sum(axis=1), atol=1e-15)
    for order in range(1, scheme.order + 1):
        assert max(defects(scheme.b, order)) < 1e-15
        assert max(defects(scheme.embedded, order)) < 1e-15 or order == scheme.order
    assert max(defects(scheme.embedded, scheme.order)) > 1e-3  # else the difference of the two is no estimate


def exact(t):
    return 1 / (1 + (1 / STARTS - 1) * np.exp(-t))


@SCHEMES
def test_order_of_the_embedded_method(scheme):
    """Carried on by itself, it converges one order below; the other's order is in `test_order`."""
    solver, term = Lean(scheme), diffrax.ODETerm(lambda t, y, args: y * (1 - y))

    @jax.jit
    def end(steps):
        h = 4.0 / steps
        zero = jnp.zeros_like(h)

        def step(_, y):
            y1, error, *_ = solver.step(term, zero, h, y, None, solver.init(term, zero, h, y, None), False)
            return y1 - error

        return jax.lax.fori_loop(0, steps.astype(int), step, jnp.asarray(STARTS))

    numbers = np.array([40.0, 50.0, 64.0, 80.0])
    errors = [np.linalg.norm(end(jnp.asarray(n)) - exact(4.0)) for n in numbers]
    assert abs(-np.polyfit(np.log(numbers), np.log(errors), 1)[0] - (scheme.order - 1)) < 0.2, errors


@SCHEMES
def test_a_step_is_the_tableaus(scheme):
    """In registers or with all its slopes: the same step, of a field that depends on time as well."""

    def field(t, y):
        return np.cos(3 * t) * y - y**3

    y, h, a, slopes = np.array([0.7, -1.2]), 0.2, matrix(scheme), []
    for row, c in zip(a, scheme.nodes, strict=True):
        slopes.append(field(0.5 + c * h, y + h * sum(x * k for x, k in zip(row, slopes, strict=False))))
    expected = y + h * np.dot(scheme.b, slopes)
    solver, term = Lean(scheme), diffrax.ODETerm(lambda t, y, args: jnp.cos(3 * t) * y - y**3)
    t0, t1 = jnp.asarray(0.5), jnp.asarray(0.7)
    first = solver.init(term, t0, t1, jnp.asarray(y), None)
    end, error, _, last, _ = solver.step(term, t0, t1, jnp.asarray(y), None, first, False)
    np.testing.assert_allclose(end, expected, rtol=1e-14)
    np.testing.assert_allclose(error, expected - y - h * np.dot(scheme.embedded, slopes), atol=1e-15)
    np.testing.assert_allclose(last, field(0.7, expected), rtol=1e-13)


def test_dense_output_is_exact_for_cubics():
    t0, t1 = 0.3, 0.8
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0])
    ends = [jnp.asarray(f(t)) for f in (cubic, cubic.deriv()) for t in (t0, t1)]
    dense = CubicHermite(jnp.asarray(t0), jnp.asarray(t1), *ends)
    for t in np.linspace(t0, t1, 7):
        np.testing.assert_allclose(dense.evaluate(jnp.asarray(t)), cubic(t), rtol=1e-13)


@pytest.mark.thorough
@SCHEMES
def test_order_of_the_rows(scheme):
    """Read inside steps the error is that of the method, or O(h⁴) of the cubic."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(STARTS))
    times, numbers, errors = np.linspace(0.0, 4.0, 97), (16, 24, 32), []
    for steps in numbers:
        result = flowsim.simulate(problem, t1=4.0, solver=f"lean{scheme.order}", step=4.0 / steps, save_times=times,
                                  probes={"x": lambda x: x})  # fmt: skip
        errors.append(np.max(np.abs(result.trajectory.values["x"] - exact(times[:, None]))))
    found = -np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    assert found > min(scheme.order, 4) - 0.4, errors


def test_certified_by_one_another():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(STARTS))
    result = flowsim.simulate(problem, t1=4.0, solver="lean5", rtol=1e-8, atol=1e-10, save_times=[0.0, 4.0])
    error = np.linalg.norm(result.parameters - exact(4.0)) / np.linalg.norm(exact(4.0) - STARTS)
    assert 0 < error <= result.certificate.relative_error < 1e-6


def copies(solver, size):
    """Copies of the parameters in the results and the scratch space of a compiled chunk of steps.

    The gradient of a quadratic loss takes no room of its own, so that what is counted is the method's.
    """
    curvatures = jnp.linspace(0.5, 1.0, size)
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.ones(size))
    plan = prepare(problem, Settings(1.0, solver), save_times=[0.0, 1.0]).plan
    compiled = eqx.filter_jit(proceed).lower(plan, start(plan), jnp.asarray(10)).compile().compiled
    memory = compiled.memory_analysis()
    return (memory.output_size_in_bytes + memory.temp_size_in_bytes) / (8 * size)


@pytest.mark.slow
def test_memory_of_a_step():
    size = 100_000
    lean = [copies(f"lean{order}", size) for order in (3, 5)]
    assert max(lean) <= 8
    assert abs(lean[0] - lean[1]) < 0.1  # whatever the number of stages
    assert copies("dopri8", size) > 2 * max(lean)
