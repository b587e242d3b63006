"""Flows against closed forms, against Optax at small learning rates, and against what they must conserve."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp
from scipy.special import j1

import flowsim
from flowsim import _tree, flows
from flowsim._vector import Vector
from flowsim.simulation import Settings, prepare

from .problems import reference
from .test_reductions import wide

CURVATURES = np.array([0.3, 1.0, 2.5])
START = np.array([1.0, -0.7, 0.4])


def quadratic():
    return flowsim.Problem.from_loss(_quadratic, {"x": jnp.asarray(START)})


def _quadratic(p):
    return jnp.sum(jnp.asarray(CURVATURES, p["x"].dtype) * p["x"] ** 2) / 2


def bent():
    """Curvature that changes along the path, and a coupling of entries: no order is reached by accident."""
    return flowsim.Problem.from_loss(_bent, {"x": jnp.asarray(START), "y": jnp.asarray([[0.5, 1.2]])})


def _bent(p):
    x, y = p["x"], p["y"]
    return jnp.sum(jnp.cosh(x)) + jnp.sum((y - 0.3 * x[:2]) ** 2) / 2 + jnp.sum(y**4) / 10


def run(problem, flow, t1, **options):
    options = {"rtol": 1e-10, "atol": 1e-12, "save_times": [0.0, t1]} | options
    result = flowsim.simulate(problem, t1=t1, flow=flow, **options)
    assert result.status.kind == "done"
    return result


def steps_of(problem, transformation, count):
    """`count` steps of an Optax optimizer."""
    descent = flowsim.descent.descend(problem, transformation, learning_rate=1.0, steps=count, points=2)
    return descent.parameters


def apart(x, y):
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (x, y)), strict=True))))


def slope(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


@pytest.mark.thorough
@pytest.mark.parametrize("friction", [0.0, 0.5, 3.0])
def test_heavy_ball_is_the_damped_oscillator(friction):
    t1 = 4.0
    root = np.sqrt(friction**2 / 4 - CURVATURES + 0j)
    exact = START * np.exp(-friction * t1 / 2) * (np.cosh(root * t1) + friction / 2 * np.sinh(root * t1) / root)
    result = run(quadratic(), flows.momentum(friction=friction), t1)
    np.testing.assert_allclose(result.parameters["x"], exact.real, atol=1e-9)
    assert result.energy_identity < 1e-7 or friction == 0  # without friction no energy is lost


def test_nesterov_is_bessels_function():
    """θ'' + (3/t) θ' = -λθ is solved by θ(0) · 2 J₁(√λ t)/(√λ t) (Su, Boyd, Candès 2016, section 3.2)."""
    t1 = 6.0
    s = np.sqrt(CURVATURES) * t1
    result = run(quadratic(), flows.nesterov(), t1)
    np.testing.assert_allclose(result.parameters["x"], START * 2 * j1(s) / s, atol=1e-8)
    assert result.energy_identity < 1e-7


@pytest.mark.slow
def test_descent_with_momentum_nears_heavy_ball():
    """From rest the distance is of order √η; with the kick that matches the first step, of order η."""
    problem, t1, friction = bent(), 3.0, 0.8
    rested = run(problem, flows.momentum(friction=friction), t1).parameters
    counts, plain, kicked, etas = (40, 80, 160), [], [], []
    for count in counts:
        h = t1 / count
        beta = (1 - friction * h / 2) / (1 + friction * h / 2)
        eta = h**2 * (1 + beta) / 2
        assert flows.heavy_ball_step(eta, beta) == pytest.approx(h)
        assert flows.heavy_ball_friction(eta, beta) == pytest.approx(friction)
        end = steps_of(problem, optax.sgd(eta, momentum=beta), count)
        plain.append(apart(end, rested))
        kicked.append(apart(end, run(problem, flows.heavy_ball(learning_rate=eta, momentum=beta), t1).parameters))
        etas.append(eta)
    assert abs(slope(etas, plain) - 0.5) < 0.1, plain
    assert abs(slope(etas, kicked) - 1.0) < 0.1, kicked
    assert kicked[-1] < 0.02 * plain[-1]


def test_nesterovs_steps_near_their_flow():
    problem, t1 = bent(), 4.0
    flow = run(problem, flows.nesterov(), t1).parameters
    counts, errors = (40, 80, 160), []
    for count in counts:
        eta = (t1 / count) ** 2
        optimizer = optax.inject_hyperparams(optax.sgd, static_args=("nesterov",))(
            learning_rate=eta, momentum=lambda k: (k + 1.0) / (k + 4.0), nesterov=True
        )
        errors.append(apart(steps_of(problem, optimizer, count), flow))
    assert abs(slope([(t1 / c) ** 2 for c in counts], errors) - 0.5) < 0.1, errors


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["adam", "rmsprop", "adamw"])
def test_adaptive_steps_near_their_flow(kind):
    """The averages keep their time scale while η falls; the distance is of order η."""
    problem, t1, first, second, epsilon = bent(), 1.0, 0.2, 0.7, 1e-3
    flow = {
        "adam": flows.adam(first=first, second=second, epsilon=epsilon),
        "rmsprop": flows.rmsprop(second=second, epsilon=epsilon),
        "adamw": flows.weight_decay(flows.adam(first=first, second=second, epsilon=epsilon), strength=0.3),
    }[kind]
    limit = run(problem, flow, t1, rtol=1e-9, atol=1e-11).parameters
    counts, errors = (50, 100, 200), []
    for count in counts:
        eta = t1 / count
        b1, b2 = np.exp(-eta / first), np.exp(-eta / second)
        assert flows.memory(eta, b2) == pytest.approx(second)
        optimizer = {
            "adam": lambda e, b1=b1, b2=b2: optax.adam(e, b1, b2, eps=epsilon),
            "rmsprop": lambda e, b2=b2: optax.rmsprop(e, b2, eps=epsilon, eps_in_sqrt=False, bias_correction=True),
            "adamw": lambda e, b1=b1, b2=b2: optax.adamw(e, b1, b2, eps=epsilon, weight_decay=0.3),
        }[kind](eta)
        errors.append(apart(steps_of(problem, optimizer, count), limit))
    assert abs(slope([t1 / c for c in counts], errors) - 1.0) < 0.15, errors


def test_adam_against_scipy():
    """The same equations by other people's code, from a hair after the start on."""
    first, second, epsilon, t1, t0 = 0.2, 0.7, 1e-3, 1.0, 1e-7
    g0 = CURVATURES * START

    def field(t, z):
        x, m, v = np.split(z, 3)
        g = CURVATURES * x
        m_hat, v_hat = m / -np.expm1(-t / first), v / -np.expm1(-t / second)
        return np.concatenate([-m_hat / (np.sqrt(v_hat) + epsilon), (g - m) / first, (g**2 - v) / second])

    z0 = np.concatenate([START - t0 * np.sign(g0), g0 * t0 / first, g0**2 * t0 / second])
    theirs = solve_ivp(field, (t0, t1), z0, "DOP853", rtol=1e-11, atol=1e-13).y[:3, -1]
    ours = run(quadratic(), flows.adam(first=first, second=second, epsilon=epsilon), t1).parameters["x"]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)  # what a hair of 1e-7 leaves


def test_sign_falls_at_unit_speed():
    """Far from where the gradient vanishes every entry moves by t; with ε = 1e-3 up to about (ε/g)²/2 of it."""
    result = run(quadratic(), flows.sign(epsilon=1e-4), 0.2)
    np.testing.assert_allclose(result.parameters["x"], START - 0.2 * np.sign(START), atol=1e-6)
    assert result.energy_identity < 1e-8


def test_weight_decay_of_the_gradient_flow_is_ridge():
    result = run(quadratic(), flows.weight_decay(strength=0.4), 2.0)
    np.testing.assert_allclose(result.parameters["x"], START * np.exp(-2.0 * (CURVATURES + 0.4)), atol=1e-9)


@pytest.mark.slow
def test_clipped_and_normalised_keep_the_path():
    """Both only change the speed: at arc length s a unit-speed path is s from the start, measured along itself."""
    problem = quadratic()
    unit = run(problem, flows.normalised(), 0.5)
    time = np.linspace(0.0, 1.0, 4001)
    path = START * np.exp(-np.outer(time, CURVATURES))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    there = np.array([np.interp(0.5, length, column) for column in path.T])
    np.testing.assert_allclose(unit.parameters["x"], there, atol=1e-6)

    speed = float(np.linalg.norm(CURVATURES * START))
    slow = run(problem, flows.clipped(limit=speed / 100), 0.5)
    np.testing.assert_allclose(apart(slow.parameters["x"], START), 0.5 * speed / 100, rtol=1e-3)
    loose = run(problem, flows.clipped(limit=2 * speed), 0.5)
    np.testing.assert_allclose(loose.parameters["x"], START * np.exp(-0.5 * CURVATURES), atol=1e-9)


def test_projected_keeps_norms():
    result = run(bent(), flows.projected(names=["y"]), 3.0)
    np.testing.assert_allclose(np.linalg.norm(result.parameters["y"]), 1.3, rtol=1e-9)
    assert np.linalg.norm(result.parameters["x"]) < 0.5
    assert result.energy_identity < 1e-8


@pytest.mark.slow
def test_time_scales_and_frozen_leaves():
    problem = flowsim.Problem.from_loss(
        lambda p: jnp.sum(p["a"]["b"] ** 2 + p["a"]["c"] ** 2) / 2 + p["d"] ** 2 / 2,
        {"a": {"b": jnp.ones(2), "c": jnp.ones(2)}, "d": jnp.asarray(1.0)},
    )
    end = run(problem, flows.time_scales(rates={"a": 3.0, "a.c": 0.5}), 1.0).parameters
    np.testing.assert_allclose([end["a"]["b"][0], end["a"]["c"][0], end["d"]], np.exp([-3.0, -0.5, -1.0]), atol=1e-9)
    still = run(problem, flows.frozen(["a"]), 1.0).parameters
    np.testing.assert_array_equal(still["a"]["b"], 1.0)
    np.testing.assert_allclose(still["d"], np.exp(-1.0), atol=1e-9)
    with pytest.raises(ValueError, match=r"no trained parameter is named 'e'; they are a\.b, a\.c, d"):
        run(problem, flows.frozen(["e"]), 1.0)


FLOWS = {
    "adam": flows.adam(first=0.1, second=0.5, epsilon=1e-4),
    "decaying nesterov": flows.weight_decay(flows.nesterov(), strength=0.01),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_certificate_events_and_energy(name):
    """A flow is integrated like the gradient flow: certified, with exact events, and its energy adds up."""
    problem, t1 = bent(), 2.0
    event = flowsim.events.crossing("half", _half, direction="down")
    result = run(problem, FLOWS[name], t1, rtol=1e-6, atol=1e-8, events=[event], certificate=True)
    finer = run(problem, FLOWS[name], t1, rtol=1e-10, atol=1e-12, events=[event])
    error = apart(result.parameters, finer.parameters) / apart(finer.parameters, problem.parameters)
    assert error <= result.certificate.relative_error < 1e-3
    fired = result.events["half"]
    assert abs(fired.time - finer.events["half"].time) <= fired.uncertainty + 1e-9
    assert result.energy_identity < 1e-5
    assert result.certificate.invariants == {}


def _half(t, p):
    return p["x"][0] - 0.8


@pytest.mark.slow
def test_momentum_runs_in_reduced_coordinates():
    problem, _ = reference()
    options = {"t1": 3.0, "flow": flows.momentum(friction=0.3), "rtol": 1e-10, "atol": 1e-12}
    small = flowsim.simulate(problem, **options)
    full = flowsim.simulate(problem, reduction="none", **options)
    assert small.solver.reduction != "none"
    assert apart(small.parameters, full.parameters) < 1e-8 * apart(full.parameters, problem.parameters)


@pytest.mark.slow
def test_weight_decay_runs_in_reduced_coordinates():
    """What no gradient moves shrinks too; at a limit of the speed the coordinates' sizes count as well."""
    problem = wide(unseen=2)
    flow = flows.clipped(flows.weight_decay(strength=0.4), limit=2.0)
    options = {"t1": 3.0, "flow": flow, "solver": "tsit5", "rtol": 1e-9, "atol": 1e-11, "save_times": [1.0, 3.0]}
    small = flowsim.simulate(problem, **options)
    full = flowsim.simulate(problem, reduction="none", **options)
    assert small.solver.reduction == "rotation"
    assert apart(small.parameters, full.parameters) < 1e-7 * apart(full.parameters, problem.parameters)
    for name, values in full.trajectory.values.items():
        if not name.startswith("invariant_"):
            np.testing.assert_allclose(small.trajectory.values[name], values, rtol=1e-6, atol=1e-9, err_msg=name)
    speed = _tree.norm(flow.velocity(problem, jnp.asarray(0.0), problem.parameters)[0])
    assert speed == pytest.approx(2.0)  # the limit is reached
    across = problem.parameters.W - jnp.outer(problem.remainder.a, problem.remainder.a @ problem.parameters.W) / 12
    assert jnp.linalg.norm(across) > 0.5 * jnp.linalg.norm(problem.parameters.W)


@pytest.mark.parametrize(
    ("flow", "name"), [(None, "rotation"), (flows.weight_decay(strength=0.1), "rotation"), (flows.sign(), "none")]
)
def test_members_share_a_reduction_that_is_exact_for_their_flow(flow, name):
    problem = wide(unseen=2)
    assert flowsim.ensemble.shared_reduction("auto", problem, flow) == name
    assert prepare(problem, Settings(1.0), flow=flow, reduction=name).reduction.name == name


def test_what_a_velocity_costs():
    modified = flowsim.flows.modified_gradient(step=0.1)
    for flow, gradients in (
        (flowsim.flows.gradient(), 1),
        (modified, 3),
        (flowsim.flows.weight_decay(modified, strength=0.1), 3),
        (flowsim.flows.weight_decay(strength=0.1), 1),
    ):
        assert flow.traits.gradients == gradients
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(p**4) / 4, jnp.asarray([1.0, -0.5]))
    plain, dear = (
        flowsim.simulate(problem, t1=1.0, solver="tsit5", step=0.1, flow=flow).solver.vector_field_evaluations
        for flow in (flowsim.flows.gradient(), modified)
    )
    assert dear == 3 * plain


@pytest.mark.slow
def test_reductions_that_a_flow_lacks_are_refused():
    problem, _ = reference()
    with pytest.raises(ValueError, match="not orthogonally equivariant"):
        flowsim.simulate(problem, t1=1.0, flow=flows.sign(), reduction="rotation")
    for options in ({"reduction": "gram"}, {"certificate": "gram"}):
        with pytest.raises(ValueError, match="Gram system is that of the gradient flow"):
            flowsim.simulate(problem, t1=1.0, flow=flows.nesterov(), **options)
    with pytest.raises(ValueError, match="a decay moves every word's column"):
        flowsim.simulate(problem, t1=1.0, flow=flows.weight_decay(strength=0.1), reduction="vocabulary")
    assert flowsim.simulate(problem, t1=0.1, flow=flows.sign()).solver.reduction == "none"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.momentum(friction=-1.0), "friction must be >= 0"),
        (lambda: flows.heavy_ball(learning_rate=0.1, momentum=1.0), "never settles"),
        (lambda: flows.adam(first=0.0, second=1.0), "first must be > 0"),
        (lambda: flows.memory(0.1, 1.0), "decay in"),
        (lambda: flows.clipped(limit=0.0), "limit must be > 0"),
        (lambda: flows.time_scales(rates={"x": -1.0}), "rate of x"),
    ],
)
def test_arguments_that_cannot_be_meant(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_arrays_that_are_not_trained_stay():
    problem = flowsim.Problem.from_loss(
        lambda p: jnp.sum((p["x"] - p["y"]) ** 2) / 2, {"x": jnp.ones(2), "y": jnp.zeros(2)},
        trainable={"x": True, "y": False},
    )  # fmt: skip
    result = flowsim.simulate(problem, t1=1.0, save_times=[1.0])
    np.testing.assert_array_equal(result.model["y"], 0.0)
    np.testing.assert_allclose(result.model["x"], np.exp(-1.0), rtol=1e-6)


def test_one_name_stands_for_a_list_of_it():
    """Not for its letters."""
    frozen, projected = flowsim.flows.frozen("W_K"), flowsim.flows.projected(names="W_K")
    assert frozen == flowsim.flows.frozen(["W_K"])
    assert projected == flowsim.flows.projected(names=["W_K"])


def layered(dtype=float):
    """Nine arrays of four sizes, one of them a single number."""
    keys = jax.random.split(jax.random.key(0), 9)
    shapes = [(5, 5), (5,), (5, 5), (5,), (5, 3), (3,), (3, 5), (5,), ()]
    start = [jax.random.normal(k, shape, dtype) / 2 for k, shape in zip(keys, shapes, strict=True)]
    inputs = jax.random.normal(jax.random.key(1), (7, 5), dtype)

    def loss(p):
        h = inputs
        for w, b in zip(p[:-1:2], p[1::2], strict=True):
            h = jnp.tanh(h @ w + b)
        return jnp.mean((p[-1] * h - inputs) ** 2)

    return flowsim.Problem.from_loss(loss, start)


def test_many_arrays_are_integrated_as_one_vector(monkeypatch):
    level = flowsim.events.loss_below(0.8)
    options = {"t1": 3.0, "rtol": 1e-7, "events": [level], "certificate": False}
    one = flowsim.simulate(layered(), **options)
    assert isinstance(one.prepared.plan.flow, flows.Joined)
    monkeypatch.setattr(flows, "joined", lambda flow, problem: flow)
    many = flowsim.simulate(layered(), **options)
    assert many.solver.vector_field_evaluations == one.solver.vector_field_evaluations
    assert jax.tree.structure(one.parameters) == jax.tree.structure(many.parameters)
    for x, y in zip(one.parameters, many.parameters, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)
    assert one.events["loss_below"].time == pytest.approx(many.events["loss_below"].time, rel=1e-10)
    np.testing.assert_allclose(one.dataset.gradient_norm, many.dataset.gradient_norm, rtol=1e-9)


def test_one_vector_goes_on_and_its_neighbours_stay_as_they_are():
    first = flowsim.simulate(layered(), t1=1.0, certificate=False)
    whole = flowsim.simulate(layered(), t1=2.0, certificate=False)
    longer, restarted = first.extend(t1=2.0), flowsim.simulate(layered(), t1=1.0, start=first, certificate=False)
    for x, y, z in zip(longer.parameters, whole.parameters, restarted.parameters, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_allclose(z, y, rtol=1e-4, atol=1e-5)
    for solver, flow in (("lean4", flows.gradient()), ("auto", flows.momentum(friction=1.0))):
        prepared = prepare(layered(), Settings(1.0, solver), flow=flow)
        assert not isinstance(prepared.plan.flow, flows.Joined)


def test_the_error_test_looks_at_every_array_of_one_vector():
    """As flowsim.solvers' norm of the arrays themselves, also where one is not a number."""
    from flowsim.simulation.carry import State
    from flowsim.solvers.method import error_norm

    arrays = layered().parameters
    joined, zero = Vector.of(arrays), jnp.zeros(())
    for x, y in zip(joined.split(), arrays, strict=True):
        np.testing.assert_array_equal(x, y)
    assert error_norm(State(joined, zero)) == pytest.approx(float(error_norm(State(arrays, zero))), rel=1e-14)
    bad = Vector.of([*arrays[:-1], jnp.asarray(jnp.nan)])
    assert error_norm(State(bad, zero)) == jnp.inf
