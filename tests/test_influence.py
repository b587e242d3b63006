"""The adjoint of the steps taken: against forward mode, against differences, and what it costs."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.sensitivities import steps

from .problems import reference

LONG_FIXTURES = ("forward",)  # what uses them is slow

T1, SAMPLES = 3.0, 8
TIGHT = {"rtol": 1e-11, "atol": 1e-14, "solver": "dopri8"}
FALLS = flowsim.events.crossing("falls", lambda t, model: model.product()[0, 0] + 0.5, direction="down")


@functools.cache
def linear():
    """Two layers, eight samples."""
    task = flowsim.tasks.regression(samples=SAMPLES, features=3, outputs=2, key=jax.random.key(0))
    model = flowsim.models.DeepLinear(sizes=(3, 3, 2), key=jax.random.key(1))
    return flowsim.Problem(model, task, loss=flowsim.losses.squared)


def chosen(problem, eps):
    """With the weights of samples 0 and 5 changed."""
    weights = jnp.ones(problem.task.samples).at[jnp.array([0, 5])].add(eps)
    return flowsim.Problem(problem.model(problem.parameters), problem.task, loss=problem.loss, weights=weights)


@pytest.fixture(scope="module", name="forward")
def _forward():
    """Derivatives by the weights of two samples, by forward mode."""
    return flowsim.sensitivity(
        lambda eps: chosen(linear(), eps), at=[0.0, 0.0], t1=T1, events=[FALLS], save_times=[0.0, T1],
        certificate=False, **TIGHT,
    )  # fmt: skip


@pytest.fixture(scope="module", name="of_loss")
def _of_loss():
    return flowsim.influence(linear(), t1=T1, **TIGHT)


def test_agrees_with_forward_mode(forward, of_loss):
    np.testing.assert_allclose(of_loss.derivatives[[0, 5]], forward.dataset.loss_derivative[-1], rtol=1e-8)
    of_time = flowsim.influence(linear(), t1=T1, of=FALLS, certificate=False, **TIGHT)
    assert of_time.value == pytest.approx(forward.events["falls"].time, rel=1e-9)
    np.testing.assert_allclose(of_time.derivatives[[0, 5]], forward.events["falls"].derivative, rtol=1e-8)
    assert np.sum(of_time.derivatives) == pytest.approx(-of_time.value, rel=1e-8)  # all weights together are a clock


@pytest.mark.slow
def test_agrees_with_forward_mode_on_words():
    """In the coordinates that `auto` reduces to, for the end of phase 1."""
    problem, event = reference()[0], flowsim.events.phase1_end()
    options = {"t1": T1, "rtol": 1e-11, "atol": 1e-14, "certificate": False}
    forward = flowsim.sensitivity(
        lambda eps: chosen(problem, eps), at=[0.0, 0.0], events=[event], save_times=[0.0, T1], **options
    )
    of_loss, of_time = (flowsim.influence(problem, of=of, **options) for of in ("loss", event))
    np.testing.assert_allclose(of_loss.derivatives[[0, 5]], forward.dataset.loss_derivative[-1], rtol=1e-8)
    np.testing.assert_allclose(of_time.derivatives[[0, 5]], forward.events["phase1_end"].derivative, rtol=1e-8)


def test_all_samples_at_three_times_the_cost(of_loss):
    """Gradients, a vector-Jacobian product of the velocity counted as two."""
    assert of_loss.adjoint_evaluations + of_loss.run_evaluations <= 6 * of_loss.run_evaluations
    assert len(of_loss.derivatives) == SAMPLES


@pytest.mark.slow
def test_errors_cover_a_loose_run(of_loss):
    loose = flowsim.influence(linear(), t1=T1, solver="dopri8", rtol=1e-4, atol=1e-6)
    assert np.all(np.abs(loose.derivatives - of_loss.derivatives) <= loose.errors)


def test_weights_of_all_samples_together_scale_time(forward, of_loss):
    """risk -> c risk is the same path at another speed: Σ influence = loss - T ‖∇loss‖² at the end."""
    final = forward.result.final
    expected = final["loss"] - T1 * final["gradient_norm"] ** 2
    assert np.sum(of_loss.derivatives) == pytest.approx(expected, rel=1e-8)
    assert of_loss.dataset.influence.dims == ("sample",)


@pytest.mark.slow
def test_states_that_do_not_fit_are_computed_again(monkeypatch, of_loss):
    monkeypatch.setattr(steps, "NUMBERS", 60)  # four states of 15 numbers
    again = flowsim.influence(linear(), t1=T1, certificate=False, **TIGHT)
    np.testing.assert_allclose(again.derivatives, of_loss.derivatives, rtol=1e-11)
    assert again.adjoint_evaluations > of_loss.adjoint_evaluations


@pytest.mark.slow
def test_function_of_the_model_and_event_that_never_happens():
    norm = flowsim.influence(
        linear(), t1=0.5, of=lambda model: jnp.sum(model.layers[0] ** 2), certificate=False, **TIGHT
    )
    assert norm.derivatives.shape == (SAMPLES,)
    never = flowsim.influence(linear(), t1=0.01, of=FALLS, certificate=False, **TIGHT)
    assert never.value is None
    assert never.derivatives is None


def test_refusals():
    problem, _ = reference()
    with pytest.raises(ValueError, match="explicit Runge-Kutta"):
        flowsim.influence(problem, t1=1.0, solver="stabilized")
    with pytest.raises(ValueError, match="of must be"):
        flowsim.influence(problem, t1=1.0, of="accuracy")
    staged = flowsim.flows.staged([{"train": ["W_K"], "until": "phase1_end"}, {"train": None}])
    with pytest.raises(ValueError, match="flow of stages"):
        flowsim.influence(problem, t1=1.0, flow=staged)
    with pytest.raises(ValueError, match="follows kinks"):
        flowsim.influence(problem, t1=1.0, flow=flowsim.flows.gradient(kinks="follow"))
    with pytest.raises(RuntimeError, match="max_steps"):
        flowsim.influence(linear(), t1=10.0, max_steps=3, **TIGHT)
    with pytest.raises(ValueError, match="no samples"):
        flowsim.influence(flowsim.Problem.from_loss(lambda x: x**2, 1.0), t1=1.0)


TEXT = """name: small
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 9}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 5.0}
events: [phase1_end, {kind: loss_below, value: 1.0e-9}]
save: {points: 8, spacing: log, first: 1.0e-2}
certificate: false
figures: [influence]
influence: [phase1_end, loss, loss_below]
"""


@pytest.mark.slow
def test_from_an_experiment_file(tmp_path):
    """The steps are recorded once, the event's time is the run's; what never happens has a reason."""
    from flowsim import plot, store
    from flowsim.config import load
    from flowsim.experiment import build, influenced

    (tmp_path / "e.yaml").write_text(TEXT)
    experiment = load(tmp_path / "e.yaml", ())
    problem = build.problem(experiment, tmp_path)
    prepared = build.prepared(experiment, problem, tmp_path)
    influenced.refuse(experiment, problem, prepared)
    result = flowsim.result.assemble(prepared, flowsim.simulation.run(prepared))
    taken = influenced.take(experiment, problem, result, tmp_path)
    store.write_dataset(tmp_path / "t.nc", influenced.added(result.dataset, taken))
    read = store.read_dataset(tmp_path / "t.nc")
    assert list(read.quantity.values) == ["phase1_end", "loss"]
    time = result.events["phase1_end"].time
    np.testing.assert_allclose(read.influence.sel(quantity="phase1_end").sum(), -time, rtol=1e-6)
    np.testing.assert_allclose(
        read.influence.sel(quantity="loss").sum(),
        result.final["loss"] - 5.0 * result.final["gradient_norm"] ** 2,
        rtol=1e-6,
    )
    record = influenced.section(taken)["influence"]
    assert record["loss_below"].reason == "it never happens"
    assert sum(record["phase1_end"].by_group.values()) == pytest.approx(-time, rel=1e-6)
    upper, _ = plot.draw(read, "influence").axes
    assert len(upper.lines) == 1 + len(set(read.group_of_sample.values))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("influence: [lss]", "did you mean 'loss'"),
        ("influence: [loss, loss]", "listed once"),
        ("influence: [loss]\nseeds: 2", "several seeds"),
    ],
)
def test_experiment_file_says_what_is_wrong(tmp_path, change, says):
    from flowsim.config import load
    from flowsim.config.problems import ExperimentErrors

    (tmp_path / "e.yaml").write_text(TEXT.replace("influence: [phase1_end, loss, loss_below]", change))
    with pytest.raises(ExperimentErrors, match=says):
        load(tmp_path / "e.yaml", ())


@pytest.mark.parametrize("rtol", [None, 1.2e-6])
def test_closed_form_in_float32(rtol):
    """θ' = -(w₁ x₁ (θ x₁ - y₁) + …)/n. At the tightest tolerance of float32 the second pass is the looser one."""
    inputs, labels = np.array([1.0, 2.0, 2.0, 0.5], np.float32), np.array([1.0, -1.0, -1.0, 3.0], np.float32)
    weights = np.array([1.0, 0.0, 0.5, 2.0])
    task = flowsim.tasks.from_arrays(inputs[:, None], labels)
    problem = flowsim.Problem(Slope(jnp.float32(0.3)), task, loss=flowsim.losses.squared, weights=weights)
    found = flowsim.influence(problem, t1=T1, rtol=rtol, of=lambda model: model.slope, solver="dopri5")

    def end(w):
        rate, pull = jnp.mean(w * inputs**2), jnp.mean(w * inputs * labels)
        return pull / rate + (0.3 - pull / rate) * jnp.exp(-rate * T1)

    true = jax.grad(end)(jnp.asarray(weights))
    assert np.all(np.abs(found.derivatives - true) <= found.errors)
    assert np.all(found.errors < 1e-2)
    assert found.derivatives[1] == pytest.approx(found.derivatives[2], rel=1e-4)  # one sample twice, once unweighted


def test_a_kink_on_the_path_withholds_the_bound():
    """θ' = -(k + 3) k with k = 1 above θ = 1/2 and 2 below: the derivative jumps where the kink is met."""

    class Bent(eqx.Module):
        theta: jax.Array

        def __call__(self, x):
            return jnp.where(self.theta > 0.5, self.theta, 2 * self.theta - 0.5) * x[0]

    task = flowsim.tasks.from_arrays(np.ones((1, 1)), np.array([-3.0]))
    problem = flowsim.Problem(Bent(jnp.array(1.0)), task, loss=flowsim.losses.squared)
    past, before = (flowsim.influence(problem, t1=t, of=lambda m: m.theta, solver="dopri5") for t in (0.3, 0.05))
    assert past.errors is None
    assert "the velocity jumps" in past.withheld
    assert before.errors is not None
    assert not before.withheld


class Slope(eqx.Module):
    slope: jax.Array

    def __call__(self, x):
        return self.slope * x[0]


def test_experiment_file_refuses_followed_kinks(tmp_path):
    from flowsim.config import load
    from flowsim.config.problems import ExperimentErrors

    (tmp_path / "e.yaml").write_text(TEXT.replace("kind: gradient, t1", "kind: gradient, kinks: follow, t1"))
    with pytest.raises(ExperimentErrors, match="derivatives jump at a kink"):
        load(tmp_path / "e.yaml", ())
