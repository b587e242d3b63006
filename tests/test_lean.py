"""Low-storage methods: their coefficients, their orders, and what a step of them holds."""

import itertools
import signal

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flowsim
from flowsim import solvers
from flowsim.simulation import Settings, prepare
from flowsim.simulation.advance import lowered, start
from flowsim.solvers.lean import FIFTH, FOURTH, THIRD, Lean, QuarticHermite

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


def test_dense_output_is_exact_for_quartics():
    t0, t1, quartic = jnp.asarray(0.3), jnp.asarray(0.8), jnp.asarray([-4.0, 3.0, 0.5, -2.0, 1.0])
    solver, term = Lean(FIFTH), diffrax.ODETerm(lambda t, y, args: jnp.polyval(jnp.polyder(quartic), t))
    y0 = jnp.polyval(quartic, t0)
    first = solver.init(term, t0, t1, y0, None)
    _, _, made, _, _ = solver.step(term, t0, t1, y0, None, first, False)
    dense = QuarticHermite(t0, t1, **made)
    for t in jnp.linspace(t0, t1, 7):
        np.testing.assert_allclose(dense.evaluate(t), jnp.polyval(quartic, t), rtol=1e-12)


def test_bands_hold_between_the_steps():
    """A second run whose rows are no better than the first one's says nothing of them."""
    targets, size = np.array([3.0, 1.7, 0.6]), np.array([1e-2, 0.3, 2e-3])

    def path(t):
        return targets / (1 + (targets / size**2 - 1) * np.exp(-2 * targets * t[:, None]))

    problem = flowsim.Problem.from_loss(lambda u: jnp.sum((u**2 - targets) ** 2) / 4, jnp.asarray(size))
    result = flowsim.simulate(problem, t1=10.0, solver="lean4", rtol=1e-6, atol=1e-10, certificate=True)
    exact = np.sum((path(result.trajectory.time) - targets) ** 2, axis=1) / 4
    error = np.abs(result.trajectory.values["loss"] - exact)
    shown = error > 1e-3 * np.max(error)
    assert np.max(error[shown] / result.certificate.probe_errors["loss"][shown]) <= 0.5


@pytest.mark.thorough
@SCHEMES
def test_order_of_the_rows(scheme):
    """Read inside steps the error is that of the method, or O(h⁵) of the quartic."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(STARTS))
    times, numbers, errors = np.linspace(0.0, 4.0, 97), (16, 24, 32), []
    for steps in numbers:
        result = flowsim.simulate(problem, t1=4.0, solver=f"lean{scheme.order}", step=4.0 / steps, save_times=times,
                                  probes={"x": lambda x: x})  # fmt: skip
        errors.append(np.max(np.abs(result.trajectory.values["x"] - exact(times[:, None]))))
    found = -np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    assert found > scheme.order - 0.4, errors


def test_certified_by_one_another():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(STARTS))
    result = flowsim.simulate(problem, t1=4.0, solver="lean5", rtol=1e-8, atol=1e-10, save_times=[0.0, 4.0])
    error = np.linalg.norm(result.parameters - exact(4.0)) / np.linalg.norm(exact(4.0) - STARTS)
    assert 0 < error <= result.certificate.relative_error < 1e-6


def flow(starts=STARTS, t1=4.0, **options):
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(starts))
    return flowsim.simulate(problem, t1=t1, **{"solver": "lean5", "rtol": 1e-8, "save_times": [0.0, t1], **options})


def test_a_longer_run_goes_on_from_the_end():
    """Its state is the run's own: what the shorter one has is as it was."""
    short = flow()
    before = np.array(short.parameters)
    long = short.extend(t1=6.0)
    np.testing.assert_allclose(long.parameters, exact(6.0), atol=1e-8)
    np.testing.assert_array_equal(short.parameters, before)
    np.testing.assert_array_equal(short.carry.state.flow, before)
    np.testing.assert_array_equal(short.prepared.plan.problem.parameters, STARTS)
    assert long.trajectory.time[1] == 4.0
    assert long.solver.steps > short.solver.steps
    np.testing.assert_allclose(long.extend(t1=7.0).parameters, exact(7.0), atol=1e-8)


@pytest.fixture
def session():
    """Ctrl-C as Python has it in a session, whatever a test before this one has left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_a_chunk_in_place(session):
    """It has the state's memory: nothing would be left of the run."""
    times, chunks = np.linspace(0.0, 4.0, 2000), []

    def press(chunk):
        chunks.append(chunk.reached)
        if len(chunks) == 2:
            signal.raise_signal(signal.SIGINT)  # to this thread, whatever else runs

    result = flow(save_times=times, progress=press)
    assert result.status.kind == "interrupted"
    assert result.status.time == chunks[1]
    np.testing.assert_allclose(result.parameters, exact(result.status.time), atol=1e-8)
    np.testing.assert_allclose(result.extend(t1=5.0).parameters, exact(5.0), atol=1e-8)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_an_interrupted_run_in_a_folder_ends_with_the_same_bits(tmp_path):
    times, count = np.linspace(0.0, 4.0, 2000), itertools.count()

    def stop(chunk):
        if next(count) == 2:
            raise KeyboardInterrupt

    whole = flow(save_times=times)
    assert flow(save_times=times, folder=tmp_path / "run", progress=stop).status.kind == "interrupted"
    resumed = flow(save_times=times, folder=tmp_path / "run")
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    assert resumed.solver.steps == whole.solver.steps


@pytest.mark.slow
def test_events_and_descent_of_a_run_in_place():
    half = flowsim.events.crossing("half", lambda t, x: x[0] - 0.5, direction="up")
    result = flow(events=[half], certificate=True)
    assert abs(result.events["half"].time - np.log(9.0)) <= result.events["half"].uncertainty
    drifts = [
        flowsim.descent.against_flow(result.prepared.plan.problem, optax.sgd(0.05), learning_rate=0.05, steps=40,
                                     solver=solver, rtol=1e-9)
        for solver in ("lean5", "dopri8")
    ]  # fmt: skip
    np.testing.assert_allclose(*(drift.distance for drift in drifts), atol=1e-7)


def numbers_held(solver, size):
    """Copies of the parameters that a compiled chunk of steps holds, with the start that the problem keeps.

    The gradient of a quadratic loss takes no room of its own, so that what is counted is the method's.
    """
    curvatures = jnp.linspace(0.5, 1.0, size)
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.ones(size))
    plan = prepare(problem, Settings(1.0, solver), save_times=[0.0, 1.0]).plan
    memory = lowered(plan, start(plan), jnp.asarray(10)).compile().compiled.memory_analysis()
    sizes = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return (sizes - memory.alias_size_in_bytes) / (8 * size) - 1  # the curvatures


@pytest.mark.thorough
@pytest.mark.parametrize("solver", ["lean3", "lean5"])
def test_memory_of_a_step(solver):
    """Start, state, slope; the sum, its error, the slope and the state of a stage: whatever the number of stages."""
    assert numbers_held(solver, 100_000) <= 7.1


@pytest.mark.slow
def test_other_methods_hold_more():
    assert numbers_held("dopri8", 100_000) > 14


@pytest.mark.slow
@pytest.mark.parametrize("size", [50_000, 300_000])
def test_memory_of_an_exponential_step_is_what_is_planned(size):
    """Two Krylov bases, whose vectors are fewer where the parameters are many."""
    method = solvers.make("exponential", rtol=1e-4, atol=1e-6, dtype=jnp.float64)
    assert numbers_held("exponential", size) == pytest.approx(method.held(8 * size) / (8 * size), abs=2)


@pytest.mark.parametrize(
    ("copies", "kinds"),
    [(100, ["tsit5", "stabilized4", "exponential"]), (30, ["tsit5", "stabilized4"]), (15, ["lean5"])],
)
def test_auto_takes_what_fits_into_memory(monkeypatch, copies, kinds):
    size = 1_000_000
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) / 2, jnp.ones(size))
    monkeypatch.setattr("flowsim._memory.available", lambda: 8.0 * size * copies)
    prepared = prepare(problem, Settings(1.0), save_times=[0.0, 1.0])
    assert [prepared.plan.method.kind, *(method.kind for method in prepared.stiff)] == kinds
