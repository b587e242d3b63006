"""The exponential method: φ functions, Lanczos, exactness on linear flows, bounded work, and Diffrax's own loop."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
from jax.flatten_util import ravel_pytree
from scipy.linalg import expm

import flowsim
from flowsim.solvers import Exponential
from flowsim.solvers.krylov import krylov, phi


def solver(tolerance=1e-6, **options):
    return Exponential(jnp.asarray(tolerance), jnp.asarray(tolerance), **options)


def hessian(eigenvalues, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return basis @ np.diag(eigenvalues) @ basis.T, rng.normal(size=len(eigenvalues))


def one_step(solver, field, y, h):
    term = diffrax.ODETerm(lambda t, y, args: field(y))

    @jax.jit
    def step(y):
        memory = solver.init(term, 0.0, h, y, None)
        return solver.step(term, jnp.asarray(0.0), jnp.asarray(h), y, None, memory, jnp.asarray(False))

    return step(y)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_phi_is_the_exponential_of_a_nilpotent_extension(k):
    """φ_k(z) is an entry of exp of z bordered by k ones (Saad 1992), here for both branches and their border."""
    z = np.array([-700.0, -30.0, -1.0 - 1e-9, -1.0 + 1e-9, -0.3, 0.0, 1e-9, 0.9, 5.0])
    expected = []
    for value in z:
        bordered = np.diag(np.ones(k), 1)
        bordered[0, 0] = value
        expected.append(expm(bordered)[0, k])
    np.testing.assert_allclose(phi(k, jnp.asarray(z)), expected, rtol=2e-13)


def test_lanczos_finds_outliers_in_few_products():
    """Three outliers far from a cluster cost three products more, not the root of their size."""
    matrix, b = hessian([*np.linspace(0.5, 1.0, 200), 1e3, 1e4, 1e5])
    found = jax.jit(
        lambda b: krylov(
            lambda v: -jnp.asarray(matrix) @ v, b, lambda z: phi(2, z), tolerance=jnp.asarray(1e-9),
            weights=jnp.ones_like(b), most=64, first=jnp.asarray(0),
        )
    )(jnp.asarray(b))  # fmt: skip
    value, image = found.apply(lambda z: phi(1, z), lambda z: phi(2, z))
    exact = np.linalg.solve(-matrix, expm(-matrix) @ b - b)
    assert bool(found.converged)
    assert int(found.size) < 20
    np.testing.assert_allclose(value, exact, atol=1e-8)
    np.testing.assert_allclose(image, -matrix @ exact, atol=1e-6)
    np.testing.assert_allclose(np.max(np.abs(found.values)), 1e5, rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("h", [0.1, 10.0, 1e4])
def test_a_linear_flow_is_exact_at_any_step(h):
    matrix, start = hessian([0.0, 0.01, 0.5, 3.0, 40.0, 900.0])
    y1, error, _, memory, _ = one_step(solver(1e-9), lambda y: -jnp.asarray(matrix) @ y, jnp.asarray(start), h)
    np.testing.assert_allclose(y1, expm(-h * matrix) @ start, atol=1e-6)
    assert np.all(np.isfinite(error))
    assert int(memory.evaluations) <= 50  # rounding makes a space of six dimensions seem larger


def test_work_is_bounded_at_any_stiffness():
    """λ up to 10⁸ in ten decades: a step that its products cannot reach is refused, and the flow still ends."""
    matrix, start = hessian(np.logspace(-2, 8, 300))
    few = solver(1e-4, most=16)
    _, error, _, memory, _ = one_step(few, lambda y: -jnp.asarray(matrix) @ y, jnp.asarray(start), 1.0)
    assert np.all(np.isinf(error))
    assert int(memory.evaluations) <= 2 * (2 * 16) + 2
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.asarray([1.0, 1e8]) * p**2) / 2, jnp.ones(2))
    result = flowsim.simulate(problem, t1=0.1, solver="exponential", rtol=1e-4, atol=1e-6, save_times=[0.0, 0.1])
    assert result.status.ok
    assert result.solver.vector_field_evaluations < 300
    np.testing.assert_allclose(result.parameters[0], np.exp(-0.1), rtol=1e-4)


@pytest.mark.slow
def test_steps_stop_growing_before_a_space_is_too_small():
    """A linear flow shows no error, so that nothing but the number of products holds the steps back."""
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.logspace(-3, 3, 400) * p**2) / 2, jnp.ones(400))
    result = flowsim.simulate(problem, t1=1e3, solver="exponential", rtol=1e-5, atol=1e-7, save_times=[0.0, 1e3])
    assert result.status.ok
    assert result.solver.rejected <= 0.2 * result.solver.steps
    exact = np.exp(-np.logspace(-3, 3, 400) * 1e3)
    np.testing.assert_allclose(result.parameters, exact, atol=1e-4)


@pytest.mark.slow
def test_diffrax_drives_it():
    """Adaptive steps, SaveAt, dense output, events, vmap and jit, on a stiff linear flow with a known solution."""
    matrix, start = hessian([0.1, 0.5, 1.0, 20.0, 300.0, 1000.0])
    term = diffrax.ODETerm(lambda t, y, args: -jnp.asarray(matrix) @ y)

    def solve(y, t1, **options):
        control = diffrax.PIDController(rtol=1e-6, atol=1e-6)
        return diffrax.diffeqsolve(
            term, solver(), 0.0, t1, 1e-3, y, stepsize_controller=control, max_steps=500, throw=False, **options
        )

    run = jax.jit(lambda y: solve(y, 3.0, saveat=diffrax.SaveAt(t1=True, dense=True)))
    solution = run(jnp.asarray(start))
    np.testing.assert_allclose(solution.ys[-1], expm(-3 * matrix) @ start, atol=1e-5)
    assert int(solution.stats["num_steps"]) < 30
    for t in (1e-4, 3e-3, 0.02, 0.7, 2.5):  # most of them inside steps that are far longer than 1/λ
        np.testing.assert_allclose(solution.evaluate(t), expm(-t * matrix) @ start, atol=1e-4)
    falls = diffrax.Event(lambda t, y, args, **kw: y @ y - 0.25 * start @ start, optimistix.Newton(1e-8, 1e-8))
    stop = solve(jnp.asarray(start), 3.0, event=falls)
    assert abs(float(jnp.sum(stop.ys[-1] ** 2)) - 0.25 * start @ start) < 1e-3
    many = jax.vmap(lambda y: solve(y, 1.0).ys[-1])(jnp.asarray([start, 2 * start, -start]))
    np.testing.assert_allclose(many, np.outer([1, 2, -1], expm(-matrix) @ start), atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("size", [1, 3])
def test_integrals_ride_along(size):
    """An entry that no entry depends on makes the Jacobian asymmetric; with weight 0 it does no harm.

    Here it is ∫ 1 + Σ y, whose slope has a part that J takes to 0: the space of y alone knows nothing of it.
    """
    matrix, start = hessian([0.5, 2.0, 300.0][:size])
    weighing = solver(1e-8, seen=lambda s: {"y": jnp.ones_like(s["y"]), "sum": jnp.zeros_like(s["sum"])})

    def field(s):
        return {"y": -jnp.asarray(matrix) @ s["y"], "sum": 1 + jnp.sum(s["y"])}

    y1, *_ = one_step(weighing, field, {"y": jnp.asarray(start), "sum": jnp.asarray(0.0)}, 2.0)
    np.testing.assert_allclose(y1["y"], expm(-2 * matrix) @ start, atol=1e-6)
    integral = np.linalg.solve(matrix, start - expm(-2 * matrix) @ start)
    np.testing.assert_allclose(y1["sum"], 2 + integral.sum(), atol=1e-6)


@pytest.mark.slow
def test_energy_identity_falls_with_the_tolerance():
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.asarray([0.7, 3.0]) * p**4) / 4, jnp.asarray([1.0, -2.0]))
    errors = [
        flowsim.simulate(problem, t1=5.0, solver="exponential", rtol=rtol, atol=rtol).energy_identity
        for rtol in (1e-3, 1e-6)
    ]
    assert errors[0] < 0.2
    assert errors[1] < errors[0] / 30


@pytest.mark.slow
def test_rows_and_events_inside_a_transient():
    """Rows and events within steps far longer than the fastest time scale are those of the flow."""
    rates, start = np.array([1.0, 1e4]), np.array([1.0, 1.0])
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.asarray(rates) * p**2) / 2, jnp.asarray(start))
    times = np.geomspace(1e-6, 1.0, 60)
    event = flowsim.events.crossing("fast", lambda t, p: p[1] - 0.01)
    result = flowsim.simulate(
        problem, t1=1.0, solver="exponential", rtol=1e-4, atol=1e-6, save_times=times, events=[event],
        probes={"p": lambda p: p},
    )  # fmt: skip
    saved = result.dataset["time"].values
    np.testing.assert_allclose(result.dataset["p"], start * np.exp(-np.outer(saved, rates)), atol=1e-4)
    assert result.solver.steps < 20
    assert result.events["fast"].time == pytest.approx(np.log(100) / 1e4, rel=1e-3)
    assert len(result.events["fast"].times) == 1


def test_counted_evaluations_are_the_calls_that_were_made():
    calls = []

    def field(y):
        jax.debug.callback(lambda: calls.append(1))
        return -jnp.asarray([1.0, 7.0, 400.0]) * y * (1 + y**2)

    method = solver(exact=False)
    term = diffrax.ODETerm(lambda t, y, args: field(y))
    memory = method.init(term, 0.0, 0.5, jnp.ones(3), None)
    jax.effects_barrier()
    calls.clear()
    step = eqx.filter_jit(lambda m: method.step(term, jnp.asarray(0.0), jnp.asarray(0.1), jnp.ones(3), None, m, False))
    memory = step(memory)[3]
    jax.effects_barrier()
    assert len(calls) == int(memory.evaluations)


def squared_problem(seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    task = flowsim.tasks.cooccurrence(samples=24, length=4, vocabulary=16, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=16, width=16, neurons=128, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task, loss=flowsim.losses.squared)


@pytest.mark.slow
def test_far_fewer_evaluations_than_a_classical_method_at_its_best():
    """At an error of 10⁻³; midpoint has the longest stability interval for an evaluation of Diffrax's methods."""
    problem, options = squared_problem(seed=1), {"t1": 30.0, "save_times": [0.0, 30.0]}
    truth, mine, other = (
        flowsim.simulate(problem, solver=solver, rtol=rtol, atol=rtol * 1e-2, **options)
        for solver, rtol in (("stabilized4", 1e-9), ("exponential", 3e-4), ("midpoint", 1e-2))
    )
    travelled, error = (distance(truth.parameters, x) for x in (problem.parameters, mine.parameters))
    assert error < 1e-3 * travelled
    assert other.solver.vector_field_evaluations > 15 * mine.solver.vector_field_evaluations


def distance(x, y):
    return float(jnp.linalg.norm(ravel_pytree(x)[0] - ravel_pytree(y)[0]))


@pytest.mark.slow
def test_float32_takes_exact_products():
    problem = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, squared_problem())
    options = {"t1": 3.0, "rtol": 1e-5, "atol": 1e-7, "save_times": [0.0, 3.0], "certificate": True}
    result = flowsim.simulate(problem, solver="exponential", **options)
    assert result.status.ok
    assert result.parameters.W.dtype == jnp.float32
    assert result.solver.rejected <= 0.1 * result.solver.steps + 2
    assert result.certificate.relative_error < 1e-2


@pytest.mark.slow
def test_a_fixed_step_out_of_reach_says_so():
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.logspace(-2, 8, 300) * p**2) / 2, jnp.ones(300))
    result = flowsim.simulate(problem, t1=1.0, solver="exponential", step=1.0, save_times=[0.0, 1.0])
    assert result.status.kind == "beyond_reach"
    assert "solver.step" in result.status.remedy


@pytest.mark.slow
def test_auto_stays_with_it_while_the_flow_is_stiff():
    """Once what is stiff has decayed, the Krylov space is of slow directions alone: that must not pass for slowness."""
    problem = flowsim.Problem.from_loss(
        lambda p: jnp.sum(jnp.asarray([0.02, 0.5, 900.0]) * p**2 + 1e-3 * p**4) / 2, jnp.asarray([1.0, -2.0, 1.0])
    )
    result = flowsim.simulate(problem, t1=400.0, rtol=1e-5, atol=1e-9, save_times=[0.0, 400.0])
    assert [switch.kind for switch in result.solver.switches] == ["exponential"]


@pytest.mark.slow
def test_evaluations_of_events_are_the_calls_that_were_made():
    calls = []

    @jax.custom_jvp
    def risk(p):
        return jnp.sum(p**2) / 2

    @risk.defjvp
    def _slope(primals, tangents):
        jax.debug.callback(lambda: calls.append(1))
        return risk(primals[0]), jnp.sum(primals[0] * tangents[0])

    event = flowsim.events.crossing("half", lambda t, p: p[0] - 0.5)
    problem = flowsim.Problem.from_loss(risk, jnp.asarray([1.0]))
    counted = {}
    for solver, step in (("heun", 0.01), ("bosh3", None)):
        options = {"t1": 1.0, "solver": solver, "step": step, "rtol": 1e-6, "atol": 1e-8, "save_times": [0.0, 1.0]}
        for events in ((), (event,)):
            flowsim.simulate(problem, events=events, probes={}, **options)
            jax.effects_barrier()
            calls.clear()
            record = flowsim.simulate(problem, events=events, **options).solver
            jax.effects_barrier()
            counted[solver, len(events)] = len(calls), record.event_evaluations
        more = counted[solver, 1][0] - counted[solver, 0][0]
        assert more >= counted[solver, 1][1] > 0
        assert counted[solver, 0][1] == 0


def test_asymmetric_jacobians_are_refused():
    problem = squared_problem()
    for options, what in (
        ({"flow": flowsim.flows.momentum(friction=1.0)}, "HeavyBall|Momentum"),
        ({"reduction": "gram"}, "the Gram system"),
    ):
        with pytest.raises(ValueError, match=f"symmetric Jacobian, which ({what})"):
            flowsim.simulate(problem, t1=1.0, solver="exponential", **options)
