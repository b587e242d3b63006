"""Widths beyond memory: coordinates drawn in law, and the limit of infinite width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import flowsim
from flowsim import reductions
from flowsim.init.law import triangular

D, M = 3, 8


@jax.jit
def inner_products(model):
    """A vector of everything that the flow can see of a start: G, ‖u‖² and the Gram matrices."""
    z = reductions.inner_products(model, D)
    return jnp.concatenate([jnp.ravel(x) for x in (z.G, z.c, z.A, z.VV, z.KK, z.QQ)])


def draws(template, count=500):
    initialize = flowsim.init.gaussian(sigma0=0.7, sigma1=1.3)
    keys = jax.random.split(jax.random.key(5), count)
    if isinstance(template, flowsim.models.CooccurrenceTransformer):
        return np.asarray(jax.jit(jax.vmap(lambda key: inner_products(initialize(template, key=key))))(keys))
    return np.array([inner_products(initialize(template, key=key)) for key in keys])


@pytest.mark.slow
@pytest.mark.parametrize("width", [M, 4])  # above and below 2d: with and without rows to take away
def test_equal_in_law_to_the_matrices(width):
    """Two-sample Kolmogorov-Smirnov tests of every inner product, and of random combinations of them."""
    size = {"vocabulary": D, "width": width, "neurons": 5}
    x = draws(flowsim.models.CooccurrenceTransformer(**size, key=jax.random.key(0)))
    y = draws(flowsim.models.FactoredTransformer.of_size(**size))
    mixed = np.random.default_rng(0).normal(size=(x.shape[1], 8))
    x, y = (np.concatenate([z, z @ mixed], axis=1) for z in (x, y))
    assert smallest_p(x, y) > 0.01 / x.shape[1]
    # The same test sees degrees of freedom that are wrong by two.
    other = draws(flowsim.models.FactoredTransformer.of_size(**{**size, "width": width + 2}))
    assert smallest_p(x[:, : other.shape[1]], other) < 0.01 / x.shape[1]


def smallest_p(x, y):
    return min(stats.ks_2samp(a, b).pvalue for a, b in zip(x.T, y.T, strict=True))


def test_triangular_factor_of_every_height():
    key = jax.random.key(3)
    small, large = (np.asarray(triangular(key, rows, 6, jnp.float64)) for rows in (4, 10**15))
    assert small.shape == (4, 6)
    assert large.shape == (6, 6)
    upper = np.triu_indices(4, 1, 6)
    np.testing.assert_array_equal(small[upper], large[upper])  # one key, all widths at once
    np.testing.assert_array_equal(large[np.tril_indices(6, -1)], 0)
    np.testing.assert_allclose(np.diag(large), np.sqrt(1e15), rtol=1e-6)


def wide(width, *, neurons=256, seed=0, initialize=None):
    keys = jax.random.split(jax.random.key(seed), 2)
    task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=200, distinct_words=True, key=keys[0])
    if width == np.inf:
        model = flowsim.models.InfiniteWidthTransformer(vocabulary=200)
    else:
        model = flowsim.models.FactoredTransformer.of_size(vocabulary=200, width=width, neurons=neurons)
    return flowsim.Problem((initialize or flowsim.init.theory(length=5))(model, key=keys[1]), task)


def phase1(width, seed):
    """T1 σ1² m m1."""
    problem = wide(width, seed=seed)
    unit = 1.0 if width == np.inf else 0.25**2 * width
    event = flowsim.events.phase1_end(terminal=True)
    result = flowsim.simulate(
        problem, t1=20.0 / unit, rtol=1e-8, atol=1e-13, events=[event], save_times=[0.0, 20.0 / unit]
    )
    return result.events["phase1_end"].time * unit


@pytest.mark.slow
def test_end_of_phase_1_obeys_its_law_and_reaches_the_limit():
    """T1 σ1² m m1 = σ1² m/‖u‖² × const: its spread over draws is that of χ²_m, √(2/m)."""
    seeds = (0, 1)
    limit = np.array([phase1(np.inf, seed) for seed in seeds])
    for width, spread in ((4 * 10**5, np.sqrt(2 / 4e5)), (4 * 10**8, np.sqrt(2 / 4e8))):
        apart = np.array([phase1(width, seed) for seed in seeds]) / limit - 1
        assert np.max(np.abs(apart)) < 3.5 * spread, width
    assert np.abs(np.mean(apart)) < 1e-4


@pytest.mark.thorough
@pytest.mark.parametrize("reduction", ["vocabulary", "gram"])
def test_reductions_of_a_model_drawn_in_law_agree(reduction):
    keys = jax.random.split(jax.random.key(0), 2)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    task = flowsim.tasks.from_arrays(task.tokens, task.labels, vocabulary=10, groups=task.groups)
    model = flowsim.models.FactoredTransformer.of_size(vocabulary=10, width=10**6, neurons=10**5)
    problem = flowsim.Problem(flowsim.init.theory(length=4)(model, key=keys[1]), task)
    runs = {
        name: flowsim.simulate(problem, t1=1e-3, rtol=1e-11, atol=1e-15, reduction=name, save_times=[0.0, 1e-4, 1e-3])
        for name in ("none", reduction)
    }
    whole, small = runs["none"], runs[reduction]
    for key in ("loss", "mlp_alignment", "attention_score", "value_gram"):
        values = whole.trajectory.values[key]
        scale = np.max(np.abs(values))
        np.testing.assert_allclose(small.trajectory.values[key], values, rtol=0, atol=1e-9 * scale)
    if reduction == "gram":  # it has no single parameters
        return
    for x, y in zip(jax.tree.leaves(small.parameters), jax.tree.leaves(whole.parameters), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-9 * np.max(np.abs(y)))


def test_single_parameters_are_refused_with_a_remedy():
    problem = wide(10**9, neurons=10**9)
    with pytest.raises(ValueError, match=r"W_K is never formed.*inner products"):
        flowsim.simulate(problem, t1=1.0, probes={"w": lambda model: model.W_K[0, 0]})
    with pytest.raises(ValueError, match="Gaussian init"):
        wide(10**9, initialize=flowsim.init.kaiming_uniform())
    with pytest.raises(ValueError, match="fall with the width"):
        wide(np.inf, initialize=flowsim.init.kaiming_normal())
    with pytest.raises(ValueError, match="never formed"):
        wide(10**9, initialize=flowsim.init.balanced(flowsim.init.kaiming_normal()))


def test_experiments_ask_for_widths():
    import pathlib

    from flowsim.config import load_text
    from flowsim.experiment import build

    text = (
        "name: wide\ntask: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 10}\n"
        "model: {kind: cooccurrence_transformer, width: 1.0e9, neurons: 256}\n"
        "init: {kind: theory}\nflow: {kind: gradient, t1: 1.0e-6}\n"
    )

    def built(*overrides):
        experiment = load_text(text, origin="wide.yaml", folder=pathlib.Path(), overrides=list(overrides))
        return build.problem(experiment, pathlib.Path()).remainder

    assert isinstance(built(), flowsim.models.FactoredTransformer)
    assert isinstance(built("model.width=inf"), flowsim.models.InfiniteWidthTransformer)
    assert isinstance(built("model.width=100"), flowsim.models.CooccurrenceTransformer)
    # A size that can be formed is formed where something needs it.
    assert isinstance(built("model.width=1e6"), flowsim.models.FactoredTransformer)
    for wrong in ("discrete=[{optimizer: adam, learning_rate: 0.1, steps: 1}]", "init=kaiming_uniform",
                  "flow.reduction=none", "task.vocabulary=1e6"):  # fmt: skip
        with pytest.raises(Exception, match="never formed"):
            built(wrong)
    for wrong in ("init=kaiming_normal", "flow.reduction=gram", "certificate={method: gram}",
                  "discrete=[{optimizer: adam, learning_rate: 0.1, steps: 1}]"):  # fmt: skip
        with pytest.raises(Exception, match="limit of infinite width"):
            built("model.width=inf", wrong)
