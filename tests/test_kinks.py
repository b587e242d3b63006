"""Clarke's subgradient flow of risks with kinks, against closed forms, SciPy, and smooth flows with rounded kinks."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from benchmarks import kinks
from benchmarks.kinks import rounded

import flowsim
from flowsim.config import ExperimentErrors, load_text
from flowsim.problem.gates import count_kinks, pieces

P = flowsim.Problem.from_loss


FOLLOW = flowsim.flows.gradient(kinks="follow")


def run(problem, t1, **options):
    default = {"flow": FOLLOW, "save_times": [0.0, t1], "certificate": True}
    return flowsim.simulate(problem, t1=t1, **{**default, **options})


def flat(parameters):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(parameters)])


def within(result, exact):
    """Is the end as near to the exact one as the certificate says?"""
    start, end = flat(result.prepared.plan.problem.parameters), flat(result.parameters)
    bound = result.certificate.relative_error * np.linalg.norm(end - start)
    assert result.certificate.withheld == ()
    assert math.isfinite(bound)
    return np.linalg.norm(end - flat(exact)) <= bound


def sticks(p):
    """x is held at 0 until y has grown to 1."""
    return (p["x"] - p["y"]) ** 2 / 2 + jnp.abs(p["x"]) - 2 * p["y"]


def left(t):
    """Of `sticks` from (0, 0): y = 2 (1 - exp(-t)) until ln 2; then y - x = 3/2 - exp(-2s)/2 after a time s."""
    s = t - math.log(2)
    x = s / 2 - (1 - math.exp(-2 * s)) / 4
    return {"x": x, "y": x + 1.5 - math.exp(-2 * s) / 2}


class Network(eqx.Module):
    """Half the mean squared error of a two-layer network; data as arrays, so that networks share their programs."""

    x: jax.Array
    y: jax.Array
    activation: object = eqx.field(static=True)

    def __call__(self, p):
        return jnp.mean((self.activation(self.x @ p["W"].T) @ p["a"] - self.y) ** 2) / 2


def network(seed, neurons=3, samples=5, features=2):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(samples, features)), random.normal(size=samples)
    return x, y, random.normal(size=(neurons, features)), random.normal(size=neurons)


def of(x, y, w, a, activation=jax.nn.relu):
    return P(Network(jnp.asarray(x), jnp.asarray(y), activation), {"W": jnp.asarray(w), "a": jnp.asarray(a)})


@pytest.mark.slow
def test_a_function_with_given_gates():
    def risk(x):
        smooth = jnp.logaddexp(x[0], 0.0) + jax.nn.gelu(x[1])
        kinked = jnp.abs(x[0] - 0.3) + jnp.sum(jax.vmap(jax.nn.relu)(x) ** 2) + jnp.minimum(x[0], x[1])
        return smooth + kinked + jnp.sum(jax.nn.leaky_relu(x)) + jnp.where(x[2] < 0, -2 * x[2], 3 * x[2])

    x = jnp.array([1.0, -0.5, 0.2])
    assert count_kinks(risk, x) == (9, 5, False)
    found = pieces(risk, x, jnp.zeros(9))
    gates = (found.kinks > 0).astype(float)
    np.testing.assert_allclose(found.kinks, [0.7, *x, 1.5, *x, 0.2], atol=1e-15)
    np.testing.assert_allclose(found.jumps, [2, 1, 1, 1, -1, 0.99, 0.99, 0.99, 5], atol=1e-15)
    np.testing.assert_allclose(pieces(risk, x, gates).value, risk(x), rtol=1e-15)
    slope = jax.grad(lambda x: pieces(risk, x, gates).value)
    np.testing.assert_allclose(slope(x), jax.grad(risk)(x), rtol=1e-14)
    # Beyond a kink the piece goes on as it was.
    beyond = x.at[2].set(-0.1)
    assert pieces(risk, beyond, gates).value - pieces(risk, x, gates).value == pytest.approx(
        -0.3 * 3 + (0.01 - 0.04) - 0.3, abs=1e-14
    )


def test_numbers_that_the_program_makes_are_told_apart():
    """Scalars and keys that are computed inside the risk are numbers of the traced program: each is itself."""

    def risk(p):
        one, other = jax.random.split(jax.random.key(3))
        two, three = jnp.asarray(2.0), jnp.asarray(3.0)
        line = jax.random.normal(one, p.shape) * p + jax.random.normal(other, p.shape)
        return jnp.sum(jax.nn.relu(line) + jax.nn.relu(p * jnp.sin(two) + jnp.sin(three) * jnp.cos(two)))

    p = jnp.linspace(-1.0, 1.0, 7)
    gates = jax.jit(lambda p: (pieces(risk, p, jnp.zeros(14)).kinks > 0).astype(p.dtype))(p)
    np.testing.assert_allclose(jax.jit(lambda p: pieces(risk, p, gates).value)(p), risk(p), rtol=1e-14)


@pytest.mark.parametrize("bound", [1e30, np.inf])
def test_a_bound_that_nothing_meets_takes_no_digits(bound):
    problem = P(lambda p: (jnp.clip(p["x"], -bound, bound) - 1.3) ** 2 / 2, {"x": 0.0})
    x = run(problem, 3.0, certificate=False).parameters["x"]
    np.testing.assert_allclose(x, 1.3 * (1 - math.exp(-3)), rtol=1e-6)


def test_constants_are_told_apart_by_their_digits():
    """Not by what they print as, which is 1. for both."""
    one, other = jnp.array([1.0 + 3e-9]), jnp.array([1.0])

    def risk(p):
        return jnp.sum(((p["x"] * one - p["x"] * other) * 1e9 - 1) ** 2 / 2 + 0 * jnp.abs(p["x"] + 5))

    x = jnp.array([1.0])
    np.testing.assert_allclose(pieces(risk, {"x": x}, jnp.ones(1)).value, risk({"x": x}))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.where(x > 0, x, 0.0),
        lambda x: jnp.where(x <= 0, 0, x),
        lambda x: jax.nn.leaky_relu(2 * x),
        lambda x: jax.nn.leaky_relu(-x),
        lambda x: jnp.where(-x > 0, -x, x / 10),
        lambda x: jnp.where(2 * x > 0, 3 * x, -x),
    ],
)
def test_forms_that_are_recognized(function):
    def risk(x):
        return jnp.sum(function(x) ** 2 + function(x))

    x = jnp.array([1.0, -2.0, 0.3])
    found = pieces(risk, x, jnp.zeros(6))
    gates = (found.kinks > 0).astype(float)
    assert count_kinks(risk, x).kinks == 6
    np.testing.assert_allclose(pieces(risk, x, gates).value, risk(x), rtol=1e-14)
    slope = jax.grad(lambda x: pieces(risk, x, gates).value)
    np.testing.assert_allclose(slope(x), jax.grad(risk)(x), rtol=1e-14)


def degenerate(rows, offsets, weights, center):
    """Σ c_i |a_i x - b_i| + ¼ ‖x - d‖² with small integers, so that starts lie on kinks."""
    A, b, c, d = (jnp.asarray(x, float) for x in (rows, offsets, weights, center))
    return lambda p: jnp.sum(c * jnp.abs(A @ p["x"] - b)) + jnp.sum((p["x"] - d) ** 2) / 4


def test_a_slide_along_a_kink_of_no_weight():
    """Its margins are 0 but for rounding: the next kink, at t = 0.21, is not met when they are."""
    rows = [[0, 1, -1], [1, 0, 1], [-1, -1, 0], [1, -1, 1], [1, 0, -1], [0, 0, 0]]
    risk = degenerate(rows, [-1, 1, -1, 0, 0, -1], [-0.5, 0.5, -0.5, 1, 0, 0.5], [-1, -1, 1])
    result = run(P(risk, {"x": jnp.ones(3)}), 0.3, certificate=False)
    assert [time for time in result.events["kinks"].times if time < 0.2] == []


def test_a_kink_at_rest_to_rounding_does_not_arrive():
    """It would take 10¹⁷ units of the fast time."""
    rows = [[0, 1, 1], [1, -1, 0], [-1, 1, 1], [1, 1, 1], [0, -1, 0]]
    risk = degenerate(rows, [-1, 0, -1, 1, 1], [1, 1, 0.5, 1, 1], [1, 0, 1])
    x = run(P(risk, {"x": jnp.array([-1.0, 0, -1])}), 4.0, certificate=False).parameters["x"]
    np.testing.assert_allclose(x, [1.0, -0.395, 0.395], atol=1e-3)


def test_kinks_inside_a_loop_are_not_followed():
    def risk(x):
        return jax.lax.scan(lambda total, one: (total + jnp.abs(one), None), 0.0, x)[0]

    assert count_kinks(risk, jnp.ones(3)).hidden
    assert not count_kinks(lambda x: jax.nn.logsumexp(x), jnp.ones(3)).hidden


@pytest.mark.slow
def test_an_absolute_value_is_reached_and_stayed_at():
    result = run(P(lambda p: jnp.abs(p["x"] - 0.3), {"x": 1.0}), 3.0, save_times=[0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(result.dataset["loss"], [0.7, 0.2, 0.0, 0.0], atol=1e-15)
    assert within(result, {"x": 0.3})
    (crossing,) = result.events["kinks"].crossings
    assert abs(crossing.time - 0.7) <= crossing.uncertainty < 1e-13
    assert result.solver.kinks == flowsim.records.Kinks(1, 0, 1, 1, 0)
    assert result.solver.steps < 20
    assert "1 kink, passed 0 times; 1 slide along it, to the end" in repr(result)


def test_kinks_in_a_line():
    assert flowsim.records.Kinks(1, 1, 0, 0, 0).text == "1 kink, passed 1 time; 0 slides along it"
    many = flowsim.records.Kinks(8, 2, 3, 2, 0)
    assert many.text == "8 kinks, passed 2 times; 3 slides along them, 2 of them to the end"


@pytest.mark.slow
def test_kinks_that_are_passed():
    problem = P(lambda p: p["x"] + jax.nn.relu(p["x"] - 0.3) + jax.nn.relu(p["x"] + 1), {"x": 1.0})
    result = run(problem, 5.0)
    passed = 0.7 / 3, 0.7 / 3 + 1.3 / 2
    np.testing.assert_allclose(result.events["kinks"].times, passed, rtol=1e-14)
    assert within(result, {"x": -1 - (5 - passed[1])})
    assert (result.solver.kinks.crossed, result.solver.kinks.slides) == (2, 0)


def beside_one_at_rest(large):
    """A small neuron that dies at t = ½ at z = 0, and a large one whose z is 0 at t = ln(5)/2."""
    return flowsim.Problem.from_loss(
        lambda p: 1e-12 * jax.nn.relu(p["small"] * 1e-6) + jax.nn.relu(p["large"] * 1e3) ** 2 * 1e-6 + p["large"],
        {"small": 5e-19, "large": large},
    )


def test_a_kink_at_rest_is_not_the_one_at_which_a_mode_ends():
    """Although its margin is the least."""
    flow, problem = flowsim.flows.Sliding(2), beside_one_at_rest(1e-15)
    state = eqx.tree_at(
        lambda s: (s.parameters["small"], s.gates), flow.init(problem), (jnp.array(-1e-30), jnp.array([0.0, 1.0]))
    )
    assert np.argmin(flow.margins(problem, state)) == 0
    assert int(flow.ends(problem, jnp.asarray(0.8), state)) == 1


@pytest.mark.slow
def test_kinks_beside_one_at_rest():
    kinks = run(beside_one_at_rest(2.0), 2.0, certificate=False).events["kinks"].crossings
    assert [int(one.values["kink"]) for one in kinks] == [0, 1]
    np.testing.assert_allclose([one.time for one in kinks], [0.5, math.log(5) / 2], rtol=1e-7)


@pytest.mark.slow
def test_a_slide_is_left():
    """From a start on the kink."""
    result = run(P(sticks, {"x": 0.0, "y": 0.0}), 3.0, rtol=1e-7, atol=1e-9)
    record = result.events["kinks"].crossings[0]
    assert abs(record.time - math.log(2)) <= record.uncertainty < 1e-5
    assert within(result, left(3.0))
    assert result.energy_identity < 1e-6


@pytest.mark.slow
def test_the_order_holds_across_kinks():
    """Fixed steps of a second-order method; the kink is met inside one."""
    problem, sizes = P(sticks, {"x": 0.0, "y": 0.0}), np.array([0.1, 0.05, 0.025])
    ends = [run(problem, 2.0, solver="heun", step=h, certificate=False).parameters for h in sizes]
    errors = [np.linalg.norm(flat(end) - flat(left(2.0))) for end in ends]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.2)


@pytest.mark.slow
def test_the_slide_of_one_neuron():
    """It took 260 000 evaluations to t = 4.3 of 30. Both samples are active until w is orthogonal to the second; from
    there on w = s (0.8, -0.6) with s' = -0.4 a r, a' = -0.4 s r, r = 0.8 a s - 1."""
    x, y = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1.0, -1.0])

    def both(_, state):
        w, a = state[:2], state[2]
        r = a * (x @ w) - y
        return -np.append(a * (r @ x), r @ (x @ w)) / 2

    def met(_, state):
        return x[1] @ state[:2]

    def slide(_, state):
        s, a = state
        r = 0.8 * a * s - 1
        return [-0.4 * a * r, -0.4 * s * r]

    met.terminal = True  # type: ignore[attr-defined]
    tight = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
    first = scipy.integrate.solve_ivp(both, (0, 30), [0.6e-3, 0.8e-3, 1e-3], events=met, **tight)
    begin, there = first.t[-1], first.y[:, -1]
    s, a = scipy.integrate.solve_ivp(slide, (begin, 30), [np.hypot(*there[:2]), there[2]], **tight).y[:, -1]

    result = run(of(x, y, 1e-3 * x[1:], np.array([1e-3])), 30.0, rtol=1e-6, atol=1e-10)
    assert within(result, {"W": [0.8 * s, -0.6 * s], "a": [a]})
    record = result.events["kinks"]
    assert abs(record.time - begin) <= record.uncertainty < 1e-4
    assert result.solver.steps + result.solver.rejected < 100


@pytest.mark.slow  # the small form is one neuron's slide, above
@pytest.mark.parametrize("seed", [1, 2])
def test_networks_are_the_limit_of_rounded_ones(seed):
    """The full table is `benchmarks/kinks.py`."""
    parts = network(seed)
    result = run(of(*parts), 30.0, rtol=1e-6, atol=1e-8)
    assert result.status.kind == "done"
    assert result.certificate.withheld == ()
    near, nearer = (rounded(*parts, beta) for beta in (1e6, 1e7))
    start, end = np.concatenate([parts[2].ravel(), parts[3]]), flat(result.parameters)
    bound = result.certificate.relative_error * np.linalg.norm(end - start)
    assert np.linalg.norm(end - nearer) <= bound + np.linalg.norm(near - nearer)
    assert result.solver.kinks.undecided == 0


@pytest.mark.slow
def test_what_is_not_decided_has_no_bound():
    """A neuron's weights vanish under more samples than it has inputs: when it leaves is not known."""
    result = run(of(*network(0)), 30.0, rtol=1e-6, atol=1e-8)
    assert result.solver.kinks.undecided > 0
    assert any("which way the exact flow goes is not known" in reason for reason in result.certificate.withheld)
    assert math.isinf(result.certificate.relative_error)


@pytest.mark.slow
def test_a_neuron_that_dies_at_the_origin_has_no_bound():
    """Its five kinks close slowly as they all stop, in three dimensions; rounded ones come back later."""
    parts = kinks.draw(22)
    result = run(kinks.problem(*parts, jax.nn.relu), 30.0, rtol=1e-6, atol=1e-8)
    assert result.solver.kinks.undecided > 0
    assert math.isinf(result.certificate.relative_error)


@pytest.mark.slow
def test_a_longer_run_is_the_same_run():
    problem = P(sticks, {"x": 0.0, "y": 0.0})
    short = run(problem, 1.0, certificate=False)
    longer, whole = short.extend(t1=3.0, save_times=[3.0]), run(problem, 3.0, certificate=False)
    assert np.array_equal(flat(longer.parameters), flat(whole.parameters))
    assert longer.solver.kinks == whole.solver.kinks


def test_a_neuron_at_the_origin():
    """All kinks of a neuron are met at once. Where every sample pushes it down it stays; where one draws it, it leaves
    along that sample, as its smooth limit does."""
    x, y = np.array([[1.0, 0.0], [-0.4, 0.8], [-0.5, -0.7]]), np.array([-1.0, -1.0, -1.0])
    stays = run(of(x, y, np.zeros((1, 2)), np.ones(1)), 2.0, certificate=False)
    np.testing.assert_allclose(flat(stays.parameters), [0.0, 0.0, 1.0], atol=1e-14)
    leaves = run(of(x, -y, np.zeros((1, 2)), np.ones(1)), 2.0, certificate=False)
    assert float(leaves.trajectory.values["loss"][-1]) < float(leaves.trajectory.values["loss"][0])


@pytest.mark.slow
def test_what_is_too_large_is_said():
    """Beyond some hundred kinks, or on request, the flow is integrated as if it were smooth, and the kink is said."""
    problem = P(lambda p: p["x"] + jax.nn.relu(p["x"] - 0.3) + jax.nn.relu(p["x"] + 1), {"x": 1.0})
    plain = run(problem, 5.0, flow=flowsim.flows.gradient(kinks="none"))
    assert plain.solver.kinks is None
    assert math.isinf(plain.certificate.relative_error)
    many = P(lambda p: jnp.sum(jnp.abs(p["x"])), {"x": jnp.ones(501)})
    assert run(many, 0.5, certificate=False).solver.kinks is None


def test_a_loss_that_falls_by_another_amount_than_the_velocity_says_has_no_bound():
    """Here a part is hidden from the gradient; a mode that is wrong for a while looks the same."""
    problem = P(lambda p: jnp.abs(p["x"] - 0.3) + 0.5 * jax.lax.stop_gradient(p["x"]) ** 2, {"x": 2.0})
    assert "energy identity" in run(problem, 1.0).certificate.withheld[0]


def test_a_changed_velocity_is_refused():
    """Not followed in silence as if the risk were smooth."""
    for change in (
        lambda flow: flowsim.flows.weight_decay(flow, strength=0.1),
        lambda flow: flowsim.flows.staged([{"train": None}], flow),
    ):
        with pytest.raises(ValueError, match="gradient flow itself"):
            change(FOLLOW)
    text = "flow: {kind: gradient, t1: 1.0, kinks: follow, clip: 1.0}"
    with pytest.raises(ExperimentErrors, match="must be none where weight_decay"):
        load_text(
            f"name: a\ntask: {{kind: cooccurrence}}\nmodel: {{kind: cooccurrence_transformer}}\n{text}\n", origin="e"
        )


def test_an_event_of_the_same_name_is_refused():
    event = flowsim.events.crossing("kinks", lambda t, p: p["x"])
    with pytest.raises(ValueError, match="'kinks' is that of the kinks of this risk"):
        run(P(lambda p: jnp.abs(p["x"]), {"x": 1.0}), 1.0, events=[event])
