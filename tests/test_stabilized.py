"""The stabilized methods: stability on the real axis, bounded work, dense output, and Diffrax's own loop."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from scipy.linalg import expm

import flowsim
from flowsim.solvers import Stabilized, Stabilized4
from flowsim.solvers.rock4_design import GOAL, finish, polynomial, prefix_weights, recurrence, taylor
from flowsim.solvers.stabilized import _next, _omegas, stability_interval
from flowsim.solvers.stabilized4 import table

SOLVERS = pytest.mark.parametrize("solver", [Stabilized(), Stabilized4()], ids=["stabilized", "stabilized4"])


def linear(eigenvalues, start=None):
    """y' = -diag(λ) y, with its exact solution."""
    eigenvalues = jnp.asarray(eigenvalues, float)
    term = diffrax.ODETerm(lambda t, y, args: -eigenvalues * y)
    return term, jnp.ones_like(eigenvalues) if start is None else jnp.asarray(start)


@eqx.filter_jit
def one_step(solver, term, y, h):
    memory = solver.init(term, 0.0, h, y, None)
    return solver.step(term, jnp.asarray(0.0), jnp.asarray(h), y, None, memory, jnp.asarray(False))


def solve(solver, term, y, t1, tolerance=1e-6, **options):
    control = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    return diffrax.diffeqsolve(
        term, solver, 0.0, t1, None, y, stepsize_controller=control, max_steps=4096, throw=False, **options
    )


def test_recurrences_are_those_of_the_chebyshev_polynomials():
    """T, T', T'' outside [-1, 1], of which the coefficients of every stage are made."""
    x = 1.03
    expected = [[Chebyshev.basis(n).deriv(k)(x) if k else Chebyshev.basis(n)(x) for k in range(3)] for n in range(12)]
    for older, newer, following in zip(expected, expected[1:], expected[2:], strict=False):
        np.testing.assert_allclose(_next(x, older, newer), following, rtol=1e-12)


@pytest.mark.thorough
@SOLVERS
@pytest.mark.parametrize("h", [0.5, 7.0, 300.0, 9000.0])
def test_stable_on_the_real_axis(solver, h):
    """Whatever the step, the number of stages is such that no mode between 0 and the largest grows."""
    eigenvalues = np.concatenate([np.linspace(0.0, 1.0, 4001), [1.0]])
    term, y = linear(eigenvalues)
    y1, _, _, memory, _ = one_step(solver, term, y, h)
    assert int(memory.stages) > 0
    assert np.max(np.abs(y1)) <= 1 + 1e-9
    assert 0.85 < float(memory.spectrum.radius) <= 1.0 + 1e-9  # a lower bound: `safety` covers the rest


@SOLVERS
def test_few_stages_serve_a_long_step(solver):
    """Stages grow like the square root of step × stiffness: 0.653 (s² - 1) and 0.34 s² are reached."""
    term, y = linear([0.0, 1.0])
    stages = [int(one_step(solver, term, y, h)[3].stages) for h in (400.0, 6400.0)]
    assert abs(stages[1] / stages[0] - 4) < 0.3
    constant = 0.653 if isinstance(solver, Stabilized) else 0.343
    assert abs(stages[1] - np.sqrt(6400 * solver.safety / constant)) < 0.07 * stages[1]


def test_closed_form_of_the_second_order_coefficients():
    """ω1 = T'/T'' in closed form is NumPy's Chebyshev series; the interval ends where ω0 + ω1 z = -1."""
    for s in (2, 3, 10, 77, 250):
        omega0, omega1 = map(float, _omegas(jnp.asarray(s), jnp.float64))
        series = np.polynomial.Chebyshev.basis(s)
        np.testing.assert_allclose(omega1, series.deriv(1)(omega0) / series.deriv(2)(omega0), rtol=1e-8)
        assert omega0 - omega1 * stability_interval(s) >= -1 - 0.02 / s


def test_fourth_order_table():
    """Every row fulfils the eight order conditions and is stable on the whole of its interval."""
    rows = table()
    for i in range(0, len(rows["stages"]), 6):
        s, first = rows["stages"][i], rows["offset"][i]
        prefix = rows["recurrence"][first : first + s - 4]
        np.testing.assert_allclose(finish(rows["finish"][i], prefix_weights(prefix))[1], GOAL, rtol=0, atol=1e-12)
        z = np.linspace(-rows["interval"][i], 0, 50 * s)
        before, now = np.zeros_like(z), np.ones_like(z)
        for mu, nu in prefix:
            before, now = now, (mu * z + nu) * now + (1 - nu) * before
        assert np.max(np.abs(now)) <= 1 + 1e-9  # inner stages
        a, b = rows["finish"][i][:6], rows["finish"][i][6:]
        k1 = z * now
        k2 = z * (now + a[0] * k1)
        k3 = z * (now + a[1] * k1 + a[2] * k2)
        k4 = z * (now + a[3] * k1 + a[4] * k2 + a[5] * k3)
        assert np.max(np.abs(now + b[0] * k1 + b[1] * k2 + b[2] * k3 + b[3] * k4)) <= 1 + 1e-9
        assert rows["interval"][i] > 0.33 * s**2 or s < 14


def test_fourth_order_design_is_reproducible():
    """The stored table is what the design solves for: the polynomial of 24 stages, from its own unknowns."""
    rows = table()
    i = list(rows["stages"]).index(24)
    from flowsim.solvers.rock4_design import _START, _equations, root

    found = root(_equations, _START, args=(20,), method="lm", options={"xtol": 1e-14, "ftol": 1e-15}).x
    np.testing.assert_allclose(2 * np.exp(found[4]), rows["interval"][i], rtol=1e-6)
    np.testing.assert_allclose(taylor(20, found) * [1, 1, 2, 6, 24], np.ones(5), rtol=1e-10)
    np.testing.assert_allclose(recurrence(20, found), rows["recurrence"][rows["offset"][i] :][:20], rtol=1e-5)
    assert abs(float(polynomial(20, found, np.array([0.0]))[0]) - 1) < 1e-12


@pytest.mark.thorough
@SOLVERS
def test_work_is_bounded_at_any_stiffness(solver):
    """λ = 10⁸: no step costs more than `max_stages` and one estimate, and a step beyond reach is refused at once."""
    term, y = linear([1.0, 1e8], start=[1.0, 1.0])
    _, error, _, memory, _ = one_step(solver, term, y, 1.0)
    assert np.all(np.isinf(error))
    assert int(memory.evaluations) <= 2 * 50 + 5
    y1, _, _, memory, _ = one_step(solver, term, y, 1e-4)
    assert int(memory.evaluations) <= 250 + 2 * 50
    assert np.max(np.abs(y1)) <= 1 + 1e-9

    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.asarray([1.0, 1e8]) * p**2) / 2, jnp.ones(2))
    kind = "stabilized" if isinstance(solver, Stabilized) else "stabilized4"
    result = flowsim.simulate(problem, t1=0.1, solver=kind, rtol=1e-4, atol=1e-6, save_times=[0.0, 0.1])
    assert result.status.ok
    tried = result.solver.steps + result.solver.rejected
    assert result.solver.vector_field_evaluations <= 350 * tried
    assert result.solver.vector_field_evaluations < 0.1 * 1e8 / 3.3 * 6 / 10  # a tenth of what Tsit5's stability asks
    np.testing.assert_allclose(result.parameters, [np.exp(-0.1), 0.0], atol=2e-4)


@pytest.mark.thorough
@SOLVERS
def test_diffrax_drives_it(solver):
    """Saving, dense output, events, vmap and jit of Diffrax, on a stiff linear flow with a known solution."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    matrix = basis @ np.diag([0.1, 0.5, 1.0, 20.0, 300.0, 1000.0]) @ basis.T
    start = rng.normal(size=6)
    term = diffrax.ODETerm(lambda t, y, args: -jnp.asarray(matrix) @ y)
    times = jnp.linspace(0, 3.0, 7)
    run = jax.jit(lambda y: solve(solver, term, y, 3.0, saveat=diffrax.SaveAt(ts=times, t1=True, dense=True)))
    solution = run(jnp.asarray(start))
    exact = np.array([expm(-t * matrix) @ start for t in times])
    np.testing.assert_allclose(solution.ys[:-1], exact, atol=1e-4)
    np.testing.assert_allclose(solution.evaluate(1.2345), expm(-1.2345 * matrix) @ start, atol=1e-4)
    assert int(solution.stats["num_steps"]) < 600  # 3.3/λ would be 900 steps of six stages

    event = diffrax.Event(lambda t, y, args, **kw: y @ y - 0.25 * start @ start, root_finder=_newton())
    stop = solve(solver, term, jnp.asarray(start), 3.0, event=event)
    assert abs(float(jnp.sum(stop.ys[-1] ** 2)) - 0.25 * start @ start) < 1e-3

    many = jax.vmap(lambda y: solve(solver, term, y, 1.0).ys[-1])(jnp.asarray([start, 2 * start, -start]))
    np.testing.assert_allclose(many, np.outer([1, 2, -1], expm(-matrix) @ start), atol=1e-4)


def _newton():
    import optimistix

    return optimistix.Newton(1e-8, 1e-8)


@pytest.mark.thorough
@SOLVERS
def test_dense_output_has_the_method_s_order(solver):
    """On y' = -y³ the error between the steps falls as fast as at the steps' ends."""
    term = diffrax.ODETerm(lambda t, y, args: -(y**3))
    errors, steps = [], np.array([20, 40, 80])
    for n in steps:
        solution = diffrax.diffeqsolve(
            term, solver, 0.0, 2.0, 2.0 / n, jnp.asarray([1.5]), saveat=diffrax.SaveAt(dense=True)
        )
        t = np.linspace(0.05, 1.95, 173)
        errors.append(np.max(np.abs(jax.vmap(solution.evaluate)(t)[:, 0] - (1.5**-2 + 2 * t) ** -0.5)))
    order = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(order - solver.order(term)) < 0.35


def test_the_stiffness_is_tracked_as_it_grows():
    """A curvature that rises a hundredfold along the path (progressive sharpening) is followed without rejections."""

    def risk(p):
        return 50 * jnp.tanh(p["x"]) ** 2 * p["y"] ** 2 + p["y"] ** 2 - p["x"]

    problem = flowsim.Problem.from_loss(risk, {"x": 0.05, "y": 1.0})
    result = flowsim.simulate(problem, t1=20.0, solver="stabilized", rtol=1e-5, atol=1e-7)
    check = flowsim.simulate(problem, t1=20.0, solver="dopri8", rtol=1e-10, atol=1e-12)
    assert result.status.ok
    np.testing.assert_allclose(result.parameters["x"], check.parameters["x"], rtol=1e-3)
    assert result.solver.rejected < 0.3 * result.solver.steps


def test_error_estimate_is_of_third_order():
    """12/15 (y₀ - y₁) + 6/15 h (f₀ + f₁) (Sommeijer, Shampine, Verwer 1998): of y' = -y² it falls like h³."""
    term, solver, start, zero = diffrax.ODETerm(lambda t, y, args: -(y**2)), Stabilized(), jnp.ones(1), jnp.asarray(0.0)
    memory = solver.init(term, zero, zero + 0.1, start, None)
    sizes, found = np.array([0.1, 0.05, 0.025]), []
    for h in sizes:
        end, error, *_ = solver.step(term, zero, jnp.asarray(h), start, None, memory, jnp.asarray(False))
        np.testing.assert_allclose(error, (12 * (1 - end) - 6 * h * (1 + end**2)) / 15, rtol=1e-9)
        found.append(abs(float(error[0])))
    assert abs(np.polyfit(np.log(sizes), np.log(found), 1)[0] - 3) < 0.2


def test_counted_evaluations_are_the_calls_that_were_made():
    """The count in the summary against a counter in the vector field itself."""
    calls = []
    matrix = jnp.asarray([1.0, 400.0])

    @jax.custom_jvp
    def gradient(y):
        jax.debug.callback(lambda: calls.append(1))
        return matrix * y

    @gradient.defjvp
    def _product(primals, tangents):
        jax.debug.callback(lambda: calls.extend([1, 1]))
        return matrix * primals[0], matrix * tangents[0]

    term, solver = diffrax.ODETerm(lambda t, y, args: -gradient(y)), Stabilized()
    memory = solver.init(term, 0.0, 0.5, jnp.ones(2), None)
    jax.effects_barrier()
    calls.clear()
    memory = solver.step(term, jnp.asarray(0.0), jnp.asarray(0.5), jnp.ones(2), None, memory, jnp.asarray(False))[3]
    jax.effects_barrier()
    assert len(calls) == int(memory.evaluations)
