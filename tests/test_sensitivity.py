"""Derivatives of runs: against closed forms and differences of tight runs, in the whole and in reduced coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim

from .problems import reference

LONG_FIXTURES = ("both",)  # what uses them is slow

HALF = flowsim.events.crossing("half", lambda t, p: p["x"] - 0.5, direction="down")


def decay(eps):
    """x' = -a x from b: x = b e^(-a t), which is 1/2 at ln(2b)/a. The loss closes over ε."""
    rate, start = jnp.ravel(eps)[0], jnp.ravel(eps)[-1] if jnp.size(eps) > 1 else jnp.asarray(1.0)
    return flowsim.Problem.from_loss(lambda p: rate * p["x"] ** 2 / 2, {"x": start})


def run(family, **options):
    return flowsim.sensitivity(family, **{"rtol": 1e-10, "atol": 1e-13, **options})


@pytest.fixture(scope="module", name="both")
def _both():
    """In the rate a = 2 and the start b = 3, to t = 1.5."""
    return run(decay, at=[2.0, 3.0], t1=1.5, events=[HALF], probes={"cube": lambda p: p["x"] ** 3})


def test_closed_form(both):
    a, b, t = 2.0, 3.0, both.dataset.time.values
    x = b * np.exp(-a * t)
    expected = np.stack([-t * x, x / b], axis=1)
    np.testing.assert_allclose(both.parameters_derivative["x"], expected[-1], rtol=1e-9)
    np.testing.assert_allclose(both.dataset.cube_derivative, 3 * x[:, None] ** 2 * expected, rtol=1e-6, atol=1e-7)
    # loss = a x²/2 depends on a by itself as well; between steps the solver's dense output sets the accuracy
    losses = a * x[:, None] * expected + np.stack([x**2 / 2, 0 * x], axis=1)
    np.testing.assert_allclose(both.dataset.loss_derivative, losses, rtol=1e-6, atol=1e-7)
    assert both.dataset.loss_derivative.dims == ("time", "direction")


def test_event_time(both):
    event, a, b = both.events["half"], 2.0, 3.0
    time = np.log(2 * b) / a
    assert event.time == pytest.approx(time, rel=1e-9)
    np.testing.assert_allclose(event.derivative, [-time / a, 1 / (a * b)], rtol=1e-8)
    np.testing.assert_allclose(both.exponent("half"), [-1, 1 / np.log(2 * b)], rtol=1e-8)
    assert not event.nearly_tangential


@pytest.mark.slow
def test_one_number_has_no_axis():
    """And its certificate covers the error of a loose run."""
    s = run(decay, at=2.0, t1=1.0, events=[HALF], rtol=1e-4, atol=1e-6)
    time = np.log(2) / 2
    event = s.events["half"]
    assert isinstance(event.derivative, float)
    assert 0 < abs(event.derivative + time / 2) <= event.derivative_error < 1e-3
    true = -np.exp(-2.0)
    assert abs(float(s.parameters_derivative["x"]) - true) <= s.certificate.relative_error * abs(true) < 1e-3
    band = s.dataset.loss_derivative_error.values
    t = s.dataset.time.values
    assert np.all(np.abs(s.dataset.loss_derivative - (0.5 - 2 * t) * np.exp(-4 * t)) <= band)


def test_event_that_never_fires():
    s = run(decay, at=2.0, t1=0.1, events=[HALF])
    assert s.events["half"].time is None
    assert s.events["half"].derivative is None
    with pytest.raises(ValueError, match="never happens"):
        s.exponent("half")


@pytest.mark.slow
def test_tangential_crossing_says_so():
    """(x - 1/2)² - δ hardly goes below 0: at another rate it is elsewhere, at another δ it is gone."""

    def event(depth):
        return flowsim.events.crossing("dip", lambda t, p: (p["x"] - 0.5) ** 2 - depth, direction="down")

    near, far = (run(decay, at=2.0, t1=1.0, events=[event(d)]).events["dip"] for d in (1e-6, 1e-2))
    assert near.nearly_tangential
    assert not far.nearly_tangential
    x = 0.5 + 1e-3
    assert near.derivative == pytest.approx(np.log(x) / 4, rel=1e-6)


def central(family, at, h, *, events, reduction="auto", t1):
    """Fourth-order central differences of tight runs."""

    def one(eps):
        r = flowsim.simulate(
            family(jnp.asarray(eps)), t1=t1, rtol=1e-13, atol=1e-15, events=events, reduction=reduction,
            save_times=[0.0, t1],
        )  # fmt: skip
        return {"loss": r.final["loss"], **{name: e.time for name, e in r.events.items()}}

    runs = [one(at + k * h) for k in (-2, -1, 1, 2)]
    return {key: (runs[0][key] - 8 * runs[1][key] + 8 * runs[2][key] - runs[3][key]) / (12 * h) for key in runs[0]}


@pytest.fixture(scope="module", name="scaled")
def _scaled():
    """The start's scale and one sample's weight, in a problem of the paper's."""
    problem, _ = reference()

    def family(eps):
        model = problem.model(jax.tree.map(lambda x: (1 + eps[0]) * x, problem.parameters))
        weights = jnp.ones(problem.task.samples).at[0].add(eps[1])
        return flowsim.Problem(model, problem.task, weights=weights)

    options = {"at": [0.0, 0.0], "t1": 3.0, "events": [flowsim.events.phase1_end()], "save_times": [0.0, 3.0]}
    return family, {name: run(family, reduction=name, **options) for name in ("auto", "none")}


def test_word_model_against_differences(scaled):
    family, runs = scaled
    for direction in range(2):
        unit = np.eye(2)[direction]
        found = central(lambda e, unit=unit: family(e * unit), 0.0, 2e-3, events=[flowsim.events.phase1_end()], t1=3.0)
        loss = runs["auto"].dataset.loss_derivative.values[-1, direction]
        assert loss == pytest.approx(found["loss"], rel=1e-6)
        assert runs["auto"].events["phase1_end"].derivative[direction] == pytest.approx(found["phase1_end"], rel=1e-6)


def test_reductions_are_exact_for_derivatives(scaled):
    _, runs = scaled
    assert runs["auto"].solver.reduction != "none"
    agree(runs["auto"], runs["none"])
    for mine, other in zip(*(jax.tree.leaves(runs[k].parameters_derivative) for k in ("auto", "none")), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-8 * float(jnp.max(jnp.abs(other))))


@pytest.mark.slow
def test_gram_system_is_exact_for_derivatives(scaled):
    family, runs = scaled
    options = {"at": [0.0, 0.0], "t1": 3.0, "events": [flowsim.events.phase1_end()], "save_times": [0.0, 3.0]}
    agree(run(family, reduction="gram", **options), runs["none"])


def agree(one, other):
    np.testing.assert_allclose(one.dataset.loss_derivative, other.dataset.loss_derivative, rtol=1e-7)
    mine, whole = (s.events["phase1_end"].derivative for s in (one, other))
    np.testing.assert_allclose(mine, whole, rtol=1e-7)


@pytest.mark.slow
def test_other_flows_have_derivatives():
    """Heavy ball on x²/2: x'' + γ x' + x = 0 is linear in its start."""
    s = run(lambda e: flowsim.Problem.from_loss(lambda p: p**2 / 2, 1.0 + e), at=0.0, t1=2.0,
            flow=flowsim.flows.momentum(friction=1.0))  # fmt: skip
    assert float(s.parameters_derivative) == pytest.approx(float(s.parameters), rel=1e-9)


@pytest.mark.slow
def test_start_without_differentiable_basis():
    """W_V = 0 has dependent columns: auto integrates the whole problem and says so."""
    problem, _ = reference()
    zero = jax.tree.map(jnp.zeros_like, problem.parameters)

    def family(eps):
        model = problem.model(jax.tree.map(lambda a, b: a + eps * b, zero, problem.parameters))
        return flowsim.Problem(model, problem.task)

    wide = run(family, at=0.0, t1=0.1, save_times=[0.0, 0.1])
    assert wide.solver.reduction in ("none", "readout")
    assert np.all(np.isfinite(wide.dataset.loss_derivative))


def test_refusals():
    with pytest.raises(TypeError, match="differentiable by JAX"):
        run(lambda e: flowsim.Problem.from_loss(lambda p: float(e) * p**2, 1.0), at=1.0, t1=1.0)
    with pytest.raises(TypeError, match=r"must return a flowsim\.Problem"):
        run(lambda e: e, at=1.0, t1=1.0)
    with pytest.raises(ValueError, match="depends on ε"):
        run(lambda e: flowsim.Problem.from_loss(lambda p: p**2, 1.0), at=1.0, t1=1.0)
    with pytest.raises(ValueError, match="finite number or a vector"):
        run(decay, at=np.ones((1, 1)), t1=1.0)
    with pytest.raises(ValueError, match="one number for each"):
        flowsim.Problem(reference()[0].model(reference()[0].parameters), reference()[0].task, weights=jnp.ones(3))


@pytest.mark.parametrize("transform", [jax.grad, jax.jit, jax.vmap])
def test_transformed_simulation_names_sensitivity(transform):
    def final(scale):
        problem = flowsim.Problem.from_loss(lambda p: jnp.sum(p**2), scale * jnp.ones(2))
        return flowsim.simulate(problem, t1=1.0).final["loss"]

    argument = jnp.ones(2) if transform is jax.vmap else 1.0
    with pytest.raises(TypeError, match=r"flowsim\.sensitivity"):
        transform(final)(argument)


TEXT = """name: small
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 9}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 0.1}
events: []
save: {points: 2, spacing: log, first: 1.0e-2}
"""
LISTED = """sensitivities:
  [{kind: scale, of: W_V}, {kind: sigma0}, {kind: sample_weight, samples: [0, 3]}, {kind: random}]
"""


@pytest.mark.slow
def test_from_an_experiment_file(tmp_path):
    """All directions of all families in one run."""
    from flowsim.config import load
    from flowsim.experiment import build

    (tmp_path / "e.yaml").write_text(TEXT + LISTED)
    experiment = load(tmp_path / "e.yaml", ())
    prepared = build.prepared(experiment, build.problem(experiment, tmp_path), tmp_path)
    result = flowsim.result.assemble(prepared, flowsim.simulation.run(prepared))
    found = result.dataset.loss_derivative
    assert list(found.direction.values) == [
        "log scale of W_V", "log sigma0", "weight of sample 0", "weight of sample 3",
        "random 0", "random 1", "random 2", "random 3",
    ]  # fmt: skip
    losses = prepared.plan.problem.losses(prepared.plan.problem.parameters)
    np.testing.assert_allclose(found[0, 2:4], np.asarray(losses)[[0, 3]] / 12, rtol=1e-12)
    assert np.all(np.isfinite(found))


def test_experiment_file_says_what_is_wrong(tmp_path):
    from flowsim.config import load
    from flowsim.config.problems import ExperimentErrors

    wrong = "sensitivities: [{kind: scale, of: W_X}, {kind: sample_weight, samples: [12]}]\n"
    (tmp_path / "e.yaml").write_text(TEXT + wrong)
    with pytest.raises(ExperimentErrors) as caught:
        load(tmp_path / "e.yaml", ())
    assert "W_X" in str(caught.value)
    assert "samples count from 0" in str(caught.value)


@pytest.mark.slow
def test_exponent_of_phase_one():
    """T1 ∝ 1/(σ1² m m1): d log T1 / d log σ1 = -2 from one run, where the start's own alignment (∝ σ0 σ1) is small."""
    from flowsim.sensitivities.families import scaled

    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=51, distinct_words=True, key=jax.random.key(0))
    model = flowsim.models.FactoredTransformer.of_size(vocabulary=51, width=10**8, neurons=64)
    made = flowsim.init.theory(length=4, c0=0.005)(model, key=jax.random.key(2))
    problem = flowsim.Problem(made, task)
    s = run(scaled(problem, ["u_hat"]), at=[0.0], t1=2e-6, events=[flowsim.events.phase1_end()],
            save_times=[0.0, 2e-6], rtol=1e-8, certificate=False)  # fmt: skip
    event = s.events["phase1_end"]
    assert float(event.derivative[0]) / event.time == pytest.approx(-2, abs=0.01)
