"""Derivatives of runs: against closed forms and differences of tight runs, in the whole and in reduced coordinates."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.config import load
from flowsim.experiment import build
from flowsim.sensitivities import families
from flowsim.sensitivities.family import _same

from .problems import reference

LONG_FIXTURES = ("reduced", "listed", "phase_one")  # what uses them is slow

HALF = flowsim.events.crossing("half", lambda t, p: p["x"] - 0.5, direction="down")
NEVER = flowsim.events.crossing("never", lambda t, p: p["x"] - 1e-6, direction="down")


def dip(name, depth):
    """(x - 1/2)² - δ hardly goes below 0: at another rate it is elsewhere, at another δ it is gone."""
    return flowsim.events.crossing(name, lambda t, p: (p["x"] - 0.5) ** 2 - depth, direction="down")


def decay(eps):
    """x' = -a x from b: x = b e^(-a t), which is 1/2 at ln(2b)/a. The loss closes over ε."""
    rate, start = jnp.ravel(eps)[0], jnp.ravel(eps)[-1] if jnp.size(eps) > 1 else jnp.asarray(1.0)
    return flowsim.Problem.from_loss(lambda p: rate * p["x"] ** 2 / 2, {"x": start})


def run(family, **options):
    return flowsim.sensitivity(family, **{"rtol": 1e-10, "atol": 1e-13, "certificate": False, **options})


@pytest.fixture(scope="module", name="both")
def _both():
    """In the rate a = 2 and the start b = 3, to t = 1.5."""
    events = [HALF, NEVER, dip("near", 1e-6), dip("far", 4e-2)]
    return run(decay, at=[2.0, 3.0], t1=1.5, events=events, probes={"cube": lambda p: p["x"] ** 3})


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
    s = run(decay, at=2.0, t1=1.0, events=[HALF], rtol=1e-4, atol=1e-6, certificate=True)
    time = np.log(2) / 2
    event = s.events["half"]
    assert isinstance(event.derivative, float)
    assert 0 < abs(event.derivative + time / 2) <= event.derivative_error < 1e-3
    true = -np.exp(-2.0)
    assert abs(float(s.parameters_derivative["x"]) - true) <= s.certificate.relative_error * abs(true) < 1e-3
    band = s.dataset.loss_derivative_error.values
    t = s.dataset.time.values
    assert np.all(np.abs(s.dataset.loss_derivative - (0.5 - 2 * t) * np.exp(-4 * t)) <= band)


def test_event_that_never_fires(both):
    assert both.events["never"].time is None
    assert both.events["never"].derivative is None
    with pytest.raises(ValueError, match="never happens"):
        both.exponent("never")


def test_tangential_crossing_says_so(both):
    near, far = both.events["near"], both.events["far"]
    assert near.nearly_tangential
    assert not far.nearly_tangential
    x = 0.5 + 1e-3
    np.testing.assert_allclose(near.derivative, [-np.log(3 / x) / 4, 1 / 6], rtol=1e-6)


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


def scaled(eps):
    """The start's scale and one sample's weight, in a problem of the paper's."""
    problem, _ = reference()
    model = problem.model(jax.tree.map(lambda x: (1 + eps[0]) * x, problem.parameters))
    return flowsim.Problem(model, problem.task, weights=jnp.ones(problem.task.samples).at[0].add(eps[1]))


def scaled_run(reduction):
    return run(
        scaled, at=[0.0, 0.0], t1=3.0, events=[flowsim.events.phase1_end()], save_times=[0.0, 3.0], reduction=reduction
    )


@pytest.fixture(scope="module", name="reduced")
def _reduced():
    return scaled_run("auto")


def test_word_model_against_differences(reduced):
    """In reduced coordinates, whose bases depend on ε; the differences are of whole runs."""
    assert reduced.solver.reduction != "none"
    for direction in range(2):
        unit = np.eye(2)[direction]
        found = central(
            lambda e, unit=unit: scaled(e * unit), 0.0, 2e-3, events=[flowsim.events.phase1_end()], t1=3.0,
            reduction="none",
        )  # fmt: skip
        loss = reduced.dataset.loss_derivative.values[-1, direction]
        assert loss == pytest.approx(found["loss"], rel=1e-6)
        assert reduced.events["phase1_end"].derivative[direction] == pytest.approx(found["phase1_end"], rel=1e-6)


@pytest.mark.slow
def test_reductions_are_exact_for_derivatives(reduced):
    whole = scaled_run("none")
    agree(reduced, whole)
    agree(scaled_run("gram"), whole)
    for mine, other in zip(*(jax.tree.leaves(s.parameters_derivative) for s in (reduced, whole)), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-8 * float(jnp.max(jnp.abs(other))))


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
    """W_V = 0 has dependent columns: auto leaves the whole problem as it is, and says so."""
    from flowsim.sensitivities.family import expand

    problem, _ = reference()
    zero = jax.tree.map(jnp.zeros_like, problem.parameters)

    def family(eps):
        model = problem.model(jax.tree.map(lambda a, b: a + eps * b, zero, problem.parameters))
        return flowsim.Problem(model, problem.task)

    member = expand(family, jnp.asarray(0.0), "auto")
    assert member.reduction.name in ("none", "readout")
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(member.change))


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


DIRECTIONS = (
    "log scale of W_V", "log sigma0", "weight of sample 0", "weight of sample 3",
    "random 0", "random 1", "random 2", "random 3",
)  # fmt: skip


@pytest.fixture(scope="module", name="listed")
def _listed(tmp_path_factory):
    from flowsim.config import load
    from flowsim.experiment import build

    folder = tmp_path_factory.mktemp("listed")
    (folder / "e.yaml").write_text(TEXT + LISTED)
    experiment = load(folder / "e.yaml", ())
    return build.prepared(experiment, build.problem(experiment, folder), folder)


def test_from_an_experiment_file(listed):
    """All directions of all families in one run; here where it starts."""
    plan = listed.plan
    assert plan.flow.labels == DIRECTIONS
    found = flowsim.simulation.observe(plan, flowsim.simulation.start(plan))["loss_derivative"]
    losses = np.asarray(plan.problem.losses(plan.problem.parameters))
    np.testing.assert_allclose(found[2:4], losses[[0, 3]] / 12, rtol=1e-12)
    assert np.all(np.isfinite(found))


def test_scales_of_a_start_that_is_drawn_in_law():
    """There W and W_V are never formed: their coordinates scale with σ1 and σ0."""
    from flowsim.config import load_text
    from flowsim.experiment import build

    text = TEXT.replace("width: 8", "width: 1000000000") + "sensitivities: [{kind: sigma0}, {kind: sigma1}]\n"
    experiment = load_text(text, origin="law.yaml")
    problem = build.problem(experiment, pathlib.Path())
    plan = build.prepared(experiment, problem, pathlib.Path()).plan
    found = flowsim.simulation.observe(plan, flowsim.simulation.start(plan))["loss_derivative"]

    def loss(change):
        scaled = {name: 1 + change for name, change in change.items()}
        init = {name: 0.3 * scaled.get(name, 1.0) for name in ("sigma0", "sigma1")}
        other = load_text(text, origin="law.yaml", overrides=[f"init.{name}={value!r}" for name, value in init.items()])
        problem = build.problem(other, pathlib.Path())
        return float(problem.risk(problem.parameters))

    for name, derivative in zip(("sigma0", "sigma1"), found, strict=True):
        difference = (loss({name: 1e-6}) - loss({name: -1e-6})) / 2e-6
        np.testing.assert_allclose(derivative, difference, rtol=1e-6)


@pytest.mark.slow
def test_run_of_an_experiment_file(listed):
    result = flowsim.result.assemble(listed, flowsim.simulation.run(listed))
    found = result.dataset.loss_derivative
    assert tuple(found.direction.values) == DIRECTIONS
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


@pytest.fixture(scope="module", name="phase_one")
def _phase_one():
    """T1 by the scale of û, where the start's own alignment (∝ σ0 σ1) is small."""
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=51, distinct_words=True, key=jax.random.key(0))
    model = flowsim.models.FactoredTransformer.of_size(vocabulary=51, width=10**8, neurons=64)
    made = flowsim.init.theory(length=4, c0=0.005)(model, key=jax.random.key(2))
    family = families.scaled(flowsim.Problem(made, task), ["u_hat"])
    options = {"t1": 2e-6, "events": [flowsim.events.phase1_end(terminal=True)], "save_times": [0.0], "rtol": 1e-8}
    event = run(family, at=[0.0], **options).events["phase1_end"]
    return family, options, float(event.derivative[0]) / event.time


@pytest.mark.slow
def test_exponent_of_phase_one(phase_one):
    """T1 ∝ 1/(σ1² m m1): d log T1 / d log σ1 = -2 from one run."""
    assert phase_one[2] == pytest.approx(-2, abs=0.01)


@pytest.mark.slow
def test_exponent_of_a_sweep_agrees(phase_one):
    """Over σ1 from 0.8 to 1.25 times its value."""
    import xarray

    from flowsim.sweep.exponents import exponents

    family, options, local = phase_one
    scales, options = np.geomspace(0.8, 1.25, 5), {**options, "t1": 4e-6}
    times = [flowsim.simulate(family(jnp.array([x - 1])), **options).events["phase1_end"].time for x in scales]
    dataset = xarray.Dataset({"time": ("init.sigma1", times)}, coords={"init.sigma1": scales})
    (fitted,) = exponents(dataset, "time", dataset["time"])
    assert fitted.interval[0] <= local <= fitted.interval[1]
    assert fitted.exponent == pytest.approx(-2, abs=0.01)


def test_an_array_without_numbers():
    def family(scale):
        start = {"x": jnp.ones(2), "none": jnp.zeros((0, 2))}
        return flowsim.Problem.from_loss(lambda p: jnp.sum((p["x"] * scale) ** 2) / 2 + jnp.sum(p["none"]), start)

    found = flowsim.sensitivity(family, at=1.0, t1=1.0, certificate=False)
    np.testing.assert_allclose(found.parameters_derivative["x"], -2 * np.exp(-1), rtol=1e-6)


def test_a_kink_on_the_path_withholds_bounds():
    """x' = -1 above 1/2 and -2 below: dx/dx(0) jumps from 1 to 2 there, and forward mode does not see it."""

    def bent(start):
        return flowsim.Problem.from_loss(lambda x: jnp.where(x > 0.5, x, 2 * x - 0.5), start)

    falls = flowsim.events.crossing("falls", lambda t, x: x + 0.3)
    s = flowsim.sensitivity(bent, at=1.0, t1=1.0, events=[falls])
    assert s.certificate.run.withheld
    assert np.all(np.isinf(s.certificate.relative_errors))
    assert s.events["falls"].derivative_error is None


def test_a_probe_that_depends_on_nothing_has_no_derivative():
    """The gradient of a linear risk is the same everywhere."""
    s = flowsim.sensitivity(lambda eps: flowsim.Problem.from_loss(lambda x: 2.0 * x, eps), at=1.0, t1=1.0)
    assert not np.any(s.dataset.gradient_norm_derivative)
    np.testing.assert_allclose(s.dataset.loss_derivative, 2.0, rtol=1e-12)


def test_the_families_of_the_experiment_pass_through_one_problem():
    """They reach it by programs of their own, whose last bits differ."""
    file = pathlib.Path(__file__).parent.parent / "experiments" / "sensitivities.yaml"
    experiment = load(file)
    built = build.problem(experiment, file.parent)
    assert build.prepared(experiment, built, file.parent).plan.events


def test_families_agree_to_rounding_only():
    x, small = jnp.linspace(-1, 1, 7), jnp.zeros(3)
    assert _same((x, small), (x * (1 + 1e-15), small))
    assert not _same((x, small), (x * (1 + 1e-9), small))
    assert not _same((x, small), (x, small + 1e-30))
    assert not _same((x, small), (x[:-1], small))
