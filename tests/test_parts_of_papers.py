"""Tasks and models that the papers of the gallery use, as kinds of experiment files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.config import load_text
from flowsim.experiment import build

TEXT = """name: parts
task: {task}
model: {model}
init: as_made
flow: {{kind: gradient, t1: 1.0}}
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("{kind: teacher_student, samples: 9, features: 4, neurons: 2}", "{kind: diagonal_linear, scale: 0.1}"),
        ("{kind: modular_addition, modulus: 5}", "{kind: mlp, hidden: [6], activation: quadratic, bias: false}"),
        ("{kind: modular_addition, modulus: 5, samples: 8}", "{kind: mlp, hidden: [6], activation: erf}"),
        ("{kind: regression, samples: 9, features: 4}", "{kind: mlp, hidden: [6], activation: leaky_relu}"),
        (
            "{kind: in_context_regression, samples: 9, examples: 5, features: 2, covariance: [2.0, 0.5]}",
            "{kind: linear_attention, heads: 2, rank: 1}",
        ),
        (
            "{kind: in_context_regression, samples: 9, examples: 5, features: 2, weight_variance: 1.0}",
            "{kind: linear_attention, merged: true}",
        ),
        (
            "{kind: in_context_markov, samples: 4, length: 6, vocabulary: 3}",
            "{kind: transformer, width: 8, residual: true, causal: true, readout: each, train_readout: true}",
        ),
        (
            "{kind: regression, samples: 9, features: 4}",
            "{kind: scaled_output, network: {kind: mlp, hidden: [6], activation: tanh}, scale: 5.0}",
        ),
    ],
)
def test_built_from_an_experiment(task, model, tmp_path):
    experiment = load_text(TEXT.format(task=task, model=model), origin="x.yaml")
    problem = build.problem(experiment, tmp_path)
    velocity, rate = problem.velocity(problem.parameters)
    assert float(rate) > 0
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(velocity))


def test_modular_addition():
    task = flowsim.tasks.modular_addition(modulus=7, key=jax.random.key(0))
    tokens = np.asarray(task.tokens)
    first, second = np.argmax(tokens[:, :7], axis=1), np.argmax(tokens[:, 7:], axis=1)
    np.testing.assert_array_equal(np.argmax(task.labels, axis=1), (first + second) % 7)
    assert len({*zip(first, second, strict=True)}) == 49
    some = flowsim.tasks.modular_addition(modulus=7, samples=20, key=jax.random.key(0)).tokens
    assert len(np.unique(some, axis=0)) == 20
    with pytest.raises(ValueError, match="modulus²"):
        flowsim.tasks.modular_addition(modulus=3, samples=10, key=jax.random.key(0))


def test_teacher_student_keeps_its_teacher():
    """Quadratic labels are a quadratic form, which other inputs of the same teacher share."""
    given = {"features": 3, "activation": "quadratic", "neurons": 2, "key": jax.random.key(1)}
    first = flowsim.tasks.teacher_student(samples=30, **given)
    other = flowsim.tasks.teacher_student(samples=5, draw=jax.random.key(7), **given)

    def features(x):
        return np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)

    form = np.linalg.lstsq(features(np.asarray(first.tokens)), np.asarray(first.labels), rcond=None)[0]
    np.testing.assert_allclose(features(np.asarray(other.tokens)) @ form, other.labels, atol=1e-10)


def test_diagonal_network_conserves_its_product():
    task = flowsim.tasks.regression(samples=4, features=6, key=jax.random.key(2))
    model = flowsim.models.DiagonalLinear(features=6, scale=0.3)
    result = flowsim.simulate(flowsim.Problem(model, task, loss=flowsim.losses.squared), t1=5.0, rtol=1e-10)
    np.testing.assert_allclose(result.model.u * result.model.v, 0.09, rtol=1e-8)
    assert not np.allclose(result.model.u, 0.3)
    with pytest.raises(ValueError, match="scale"):
        flowsim.models.DiagonalLinear(features=2, scale=0.0)


def test_markov_chains_in_context_have_the_prior_s_frequencies():
    """Two transitions from the same word: a Dirichlet-multinomial, (α + 1)/(2α + 1) for the same again."""
    task = flowsim.tasks.in_context_markov(
        samples=40_000, length=2, vocabulary=2, concentration=0.5, key=jax.random.key(0)
    )
    words = np.concatenate([task.tokens, task.labels[:, -1:]], axis=1)
    assert abs(np.mean(words[:, 0]) - 0.5) < 0.01  # the first word is uniform
    back = words[words[:, 0] == words[:, 1]]
    assert abs(np.mean(back[:, 1] == back[:, 2]) - 1.5 / 2) < 0.01
    np.testing.assert_array_equal(task.tokens[:, 1:], task.labels[:, :-1])
    last = flowsim.tasks.in_context_markov(samples=7, length=5, vocabulary=3, predict="last", key=jax.random.key(1))
    assert last.labels.shape == (7,)


@pytest.mark.parametrize("rank", [None, 1])
def test_linear_attention_by_hand(rank):
    task = flowsim.tasks.in_context_regression(samples=3, examples=5, features=2, key=jax.random.key(3))
    model = flowsim.models.LinearAttention(features=2, heads=3, rank=rank, key=jax.random.key(4))
    for prompt in np.asarray(task.tokens):
        x, y = prompt[:5, :2], prompt[:5, 2]
        expected = sum(
            v * sum(y[n] * (K @ x[n]) @ (Q @ prompt[5, :2]) for n in range(5)) / 5
            for v, K, Q in zip(*(np.asarray(a) for a in (model.v, model.K, model.Q)), strict=True)
        )
        np.testing.assert_allclose(float(model(jnp.asarray(prompt))), expected, rtol=1e-12)
    merged = flowsim.models.LinearAttention(features=2, merged=True, key=jax.random.key(4))
    np.testing.assert_allclose(merged.matrix(), merged.v[0] * merged.M[0])
    with pytest.raises(ValueError, match="full rank"):
        flowsim.models.LinearAttention(features=2, merged=True, rank=1, key=jax.random.key(4))


def test_in_context_risk_is_the_mean_over_prompts():
    law = {"examples": 4, "covariance": (1.5, 0.5), "noise": 0.7, "weight_variance": 2.0}
    task = flowsim.tasks.in_context_regression(samples=100_000, features=2, **law, key=jax.random.key(5))
    A = np.array([[0.4, -0.2], [0.3, 0.8]])
    x, y = np.asarray(task.tokens)[:, :, :2], np.asarray(task.tokens)[:, :4, 2]
    guess = np.einsum("sn,sni,ij,sj->s", y, x[:, :4], A, x[:, 4]) / 4
    halves = 0.5 * (np.asarray(task.labels) - guess) ** 2
    exact = float(flowsim.tasks.in_context_risk(jnp.asarray(A), **law))
    assert abs(np.mean(halves) - exact) < 4 * np.std(halves) / np.sqrt(len(halves))
    assert np.std(halves) / np.sqrt(len(halves)) < 0.01 * exact


def test_population_risk_as_an_experiment(tmp_path):
    text = """name: population
problem: {kind: in_context_population, covariance: [0.6, 0.4], examples: 9, heads: 2, rank: 1, sigma: 0.5}
flow: {kind: gradient, t1: 1.0}
"""
    problem = build.problem(load_text(text, origin="x.yaml"), tmp_path)
    model = problem.model(problem.parameters)
    exact = flowsim.tasks.in_context_risk(model.matrix(), covariance=(0.6, 0.4), examples=9)
    np.testing.assert_allclose(problem.risk(problem.parameters), exact)
    assert model.K.shape == (2, 1, 2)


def test_attention_without_its_scale():
    given = {"vocabulary": 5, "width": 9, "neurons": 4, "key": jax.random.key(6)}
    with_root = flowsim.models.Transformer(**given).attention(jnp.array([0, 3, 1]))
    without = flowsim.models.Transformer(**given, scaled=False).attention(jnp.array([0, 3, 1]))
    log = np.log(np.asarray(without)) - np.log(np.asarray(without))[:, :, :1]
    np.testing.assert_allclose(log, 3 * (np.log(with_root) - np.log(with_root)[:, :, :1]), atol=1e-12)


DEEP = """name: deep
task: {{kind: regression, samples: 8, features: 4, outputs: 3, spectrum: [3.0, 1.5, 1.0], whitened: true}}
model: {{kind: deep_linear, hidden: [5, 4]}}
init: {init}
flow: {{kind: gradient, t1: 1.0}}
"""


def layers_of(init, folder):
    problem = build.problem(load_text(DEEP.format(init=init), origin="x.yaml"), folder)
    return problem, [np.asarray(W) for W in problem.parameters.layers]


def test_balanced_layers(tmp_path):
    _, (first, second, third) = layers_of("{kind: balanced_layers, sigma: 0.1}", tmp_path)
    np.testing.assert_allclose(second.T @ second, first @ first.T, atol=1e-12)
    np.testing.assert_allclose(third.T @ third, second @ second.T, atol=1e-12)
    assert 0.02 < np.std(third @ second @ first) < 0.3


def test_mode_aligned_layers(tmp_path):
    """The product has the singular vectors of (1/n) Σ y xᵀ, and stays in them; each mode follows its own equation."""
    problem, layers = layers_of("{kind: mode_aligned, strength: 0.01}", tmp_path)
    x, y = np.asarray(problem.task.tokens), np.asarray(problem.task.labels)
    U, lam, Vt = np.linalg.svd(y.T @ x / len(x), full_matrices=False)
    np.testing.assert_allclose(U.T @ layers[2] @ layers[1] @ layers[0] @ Vt.T, 0.01 * np.eye(3), atol=1e-12)
    result = flowsim.simulate(problem, t1=3.0, rtol=1e-10, atol=1e-13)
    found = U.T @ np.asarray(result.model.product()) @ Vt.T
    exact = flowsim.claims.scalar_flow(lambda s: 3 * s ** (4 / 3) * (lam - s), np.full(3, 0.01), np.array([3.0]))[0]
    np.testing.assert_allclose(found, np.diag(exact), rtol=1e-7, atol=1e-9)


def test_a_bottleneck_has_no_balanced_start():
    model = flowsim.models.DeepLinear(sizes=(4, 2, 4), key=jax.random.key(0))
    with pytest.raises(ValueError, match="at least 4 neurons"):
        flowsim.init.balanced_layers(sigma=0.1)(model, key=jax.random.key(0))


SCALED = """name: scaled
task: {kind: regression, samples: 9, features: 4}
model: {kind: scaled_output, scale: 8.0, network: {kind: mlp, hidden: [6], activation: tanh}}
init: {kind: kaiming_normal, centered: true}
flow: {kind: gradient, t1: 0.5, time_scales: {network.layers.1: 0.0}}
"""


@pytest.mark.slow
def test_scaled_and_centered_output(tmp_path):
    """F = α (f - f_0): 0 at the start, with α times the slope; the subtracted network does not move."""
    problem = build.problem(load_text(SCALED, origin="x.yaml"), tmp_path)
    model = problem.model(problem.parameters)
    x = problem.task.tokens
    np.testing.assert_allclose(jax.vmap(model)(x), 0.0, atol=1e-14)
    moved = jax.tree.map(lambda p: p + 0.1, problem.parameters)
    expected = 8 * (jax.vmap(problem.model(moved).network)(x) - jax.vmap(model.network)(x))
    np.testing.assert_allclose(jax.vmap(problem.model(moved))(x), expected, rtol=1e-12)
    result = flowsim.simulate(problem, t1=0.5)
    for before, after in zip(jax.tree.leaves(model.origin), jax.tree.leaves(result.model.origin), strict=True):
        np.testing.assert_array_equal(before, after)
    assert float(problem.risk(result.parameters)) < float(problem.risk(problem.parameters))


def test_only_a_scaled_output_is_centered():
    plain = SCALED.replace("scaled_output, scale: 8.0, network: {kind: ", "").replace("}}\ninit", "}\ninit")
    with pytest.raises(Exception, match=r"init.centered.*must be false"):
        load_text(plain, origin="x.yaml")
    with pytest.raises(ValueError, match="ScaledOutput"):
        flowsim.init.centered(flowsim.init.as_made())(
            flowsim.models.DeepLinear(sizes=(2, 2), key=jax.random.key(0)), key=jax.random.key(0)
        )
