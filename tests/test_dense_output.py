"""What is read between the ends of steps, and the error estimate that sizes them, against independent oracles."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import DOP853

import flowsim
from flowsim.certificate.bounds import curve_bounds
from flowsim.solvers.dop853 import Dop853

STARTS = np.linspace(0.1, 0.9, 9)


def growth(x):
    """x' = x (1 - x), the logistic curve."""
    return jnp.sum(x**3 / 3 - x**2 / 2)


def rows(times, **options):
    """Largest error of the rows at these times."""
    problem = flowsim.Problem.from_loss(growth, jnp.asarray(STARTS))
    options = {"rtol": 1e-13, "atol": 1e-14, **options}
    result = flowsim.simulate(problem, t1=times[-1], save_times=times, probes={"x": lambda x: x}, **options)
    exact = 1 / (1 + (1 / STARTS - 1) * np.exp(-np.asarray(times)[:, None]))
    return np.max(np.abs(result.trajectory.values["x"] - exact), axis=1), result


@pytest.mark.thorough
@pytest.mark.parametrize("solver", ["dop853", "dopri8", "tsit5", "stabilized4"])
def test_rows_inside_the_first_step(solver):
    """Save times that lie close together inside one step, no events: each row is read there."""
    errors, result = rows([0.0, 1e-6, 1e-3, 0.2, 4.0], solver=solver, rtol=1e-10, atol=1e-12)
    assert np.all(errors < 1e-8), errors
    bands = result.certificate.probe_errors["x"]
    assert np.all(np.max(bands, axis=1) < 1e-7)  # a wrong row would show in the verification's distance
    assert np.all(errors <= np.max(bands, axis=1))


# Solver, steps over the interval, and the order with which its dense output converges, inside steps as well as at ends.
DENSE = [
    ("dop853", (5, 7, 10), 7),
    ("stabilized4", (16, 24, 32), 4),
    ("stabilized", (32, 48, 64), 2),
    ("exponential", (40, 50, 64), 3),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("solver", "steps", "order"), DENSE)
def test_order_of_the_dense_output(solver, steps, order):
    times = np.linspace(0.0, 4.0, 97)
    errors = [np.max(rows(times, solver=solver, step=4.0 / n)[0]) for n in steps]
    found = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert found > order - 0.4, errors
    assert errors[-1] < 20 * rows([0.0, 4.0], solver=solver, step=4.0 / steps[-1])[0][-1] + 1e-3 / steps[-1] ** order


def test_inside_one_exponential_step_the_error_is_of_the_steps_order():
    """The local order, 4: over many steps a wrong bend of the same order as their sum would not show."""
    sizes = np.array([0.2, 0.1, 0.05])
    errors = [np.max(rows(np.linspace(0, h, 9), solver="exponential", step=h)[0]) for h in sizes]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] > 3.6, errors


def test_error_estimate_is_scipys():
    """For one entry the estimate of DOP853 is h e5² / √(e5² + e3²/100), as SciPy's code has it."""

    def field(t, y):
        return np.cos(3 * t) * y - y**3

    theirs = DOP853(field, 0.0, np.array([0.7]), 1.0, first_step=0.3, rtol=1e-3, atol=1e-3)
    theirs.step()
    expected = theirs._estimate_error_norm(theirs.K, 0.3, np.ones(1))
    term = diffrax.ODETerm(lambda t, y, args: jnp.cos(3 * t) * y - y**3)
    solver, start, zero, h = Dop853(), jnp.array([0.7]), jnp.asarray(0.0), jnp.asarray(0.3)
    end, error, *_ = solver.step(term, zero, h, start, None, solver.init(term, zero, h, start, None), False)
    assert theirs.t == 0.3
    np.testing.assert_allclose(end, theirs.y, rtol=1e-14)
    np.testing.assert_allclose(np.abs(error), expected, rtol=1e-6)


def test_a_band_answers_for_its_neighbors():
    """Where two curves cross, their distance is 0 and the error is not."""
    apart = np.array([4.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0])[:, None]
    found = curve_bounds({"x": np.zeros((9, 1))}, {"x": apart}, 0.0, withheld=False)["x"]
    np.testing.assert_allclose(found[:, 0], 4 * np.array([4.0, 4.0, 4.0, 3.0, 2.0, 3.0, 4.0, 4.0, 4.0]))


def test_a_bands_rounding_part_follows_the_curves_size():
    """Where a curve passes through 0 its rounding is still that of numbers of its size; each of many has its own."""
    values = np.array([[1.0, 2.0], [0.0, -4.0], [-3.0, 1e-9]])
    for floor in (1e-7, np.array([1e-7, 2e-7])):
        found = curve_bounds({"x": values}, {"x": values.copy()}, floor, withheld=False)["x"]
        np.testing.assert_allclose(found, floor * np.array([[3.0, 4.0]] * 3))
