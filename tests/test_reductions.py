"""Exact reductions: the same flow, and every parameter back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import reductions
from flowsim.reductions.factored import _orthonormal
from flowsim.simulation import Settings, prepare

from .problems import distance, reference

NAMES = ("readout", "rotation", "vocabulary", "gram")


def wide(width=40, vocabulary=10, unseen=0, embedding=None, seed=0):
    """Wider than twice the vocabulary, so that the rotation has something to take away.

    Unseen words lie among the others, so that setting them aside is no trivial permutation.
    """
    keys = jax.random.split(jax.random.key(seed), 3)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=vocabulary - unseen, embedding=None, key=keys[0])
    words = np.delete(np.arange(vocabulary), 3 + 3 * np.arange(unseen))
    task = flowsim.tasks.from_arrays(
        words[np.asarray(task.tokens)], task.labels, vocabulary=vocabulary, groups=task.groups
    )
    model = flowsim.models.CooccurrenceTransformer(
        vocabulary=vocabulary, width=width, neurons=12, embedding=embedding, key=keys[1]
    )
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


def solve(problem, name):
    return flowsim.simulate(problem, t1=20.0, rtol=1e-11, atol=1e-13, solver="dopri8", reduction=name)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["wide", "unseen", "embedding", "rank deficient"])
def test_every_reduction_is_the_same_flow(case):
    problem = wide(unseen=2) if case == "unseen" else wide()
    if case == "embedding":
        q = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
        problem = wide(embedding=jnp.asarray(q))
    if case == "rank deficient":
        weights = problem.parameters
        problem = eqx.tree_at(
            lambda p: (p.parameters.W_Q, p.parameters.W_V), problem, (weights.W_K * 1.0, weights.W_V.at[:, 5:].set(0.0))
        )
    full = solve(problem, "none")
    size = np.sqrt(
        sum(
            np.sum((x - y) ** 2)
            for x, y in zip(jax.tree.leaves(full.parameters), jax.tree.leaves(problem.parameters), strict=True)
        )
    )
    for name in NAMES:
        if name == "vocabulary" and case == "embedding":
            with pytest.raises(ValueError, match="one-hot"):
                reductions.reduce(problem, name)
            continue
        small = solve(problem, name)
        for key, values in full.trajectory.values.items():
            if not key.startswith("invariant_"):
                scale = np.max(np.abs(values))
                np.testing.assert_allclose(
                    small.trajectory.values[key], values, rtol=0, atol=1e-8 * scale, err_msg=f"{name} {key}"
                )
        if name != "gram":
            leaves = zip(jax.tree.leaves(small.parameters), jax.tree.leaves(full.parameters), strict=True)
            assert np.sqrt(sum(np.sum((x - y) ** 2) for x, y in leaves)) < 1e-9 * size, name


def test_gram_is_the_push_forward_of_the_gradient_flow():
    """dz/dt of the Gram system equals the derivative of the inner products along the full flow, block by block."""
    problem, _ = reference()
    small = reductions.reduce(problem, "gram").problem
    velocity, rate = small.velocity(small.parameters)
    full, full_rate = problem.velocity(problem.parameters)

    def products(parameters):
        z = reductions.inner_products(problem.model(parameters), problem.samples.vocabulary)
        return eqx.filter(z, z.trainable())

    pushed = jax.jvp(products, (problem.parameters,), (full,))[1]
    for ours, theirs in zip(jax.tree.leaves(velocity), jax.tree.leaves(pushed), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13 * np.max(np.abs(theirs)))
    np.testing.assert_allclose(rate, full_rate, rtol=1e-13)


def test_reductions_are_isometric():
    problem = wide(unseen=2)
    for name in ("readout", "rotation", "vocabulary"):
        small = reductions.reduce(problem, name)
        rate = small.problem.velocity(small.problem.parameters)[1]
        np.testing.assert_allclose(rate, problem.velocity(problem.parameters)[1], rtol=1e-12)
        back = small.lift(small.problem.parameters)
        for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(problem.parameters), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-13)


def test_unseen_words_lie_among_the_others():
    """The permutation that sets them aside is not its own inverse."""
    problem = wide(unseen=2)
    seen = np.unique(problem.samples.tokens)
    order = np.concatenate([seen, np.setdiff1d(np.arange(10), seen)])
    assert not np.array_equal(np.argsort(order), order)


class Tied(flowsim.models.CooccurrenceTransformer):
    """A model of a user's own: W_K is its own query."""

    def scores(self, tokens):
        return (self.W_K.T @ self.W_K)[tokens[:, None], tokens[None, :]]


def changed(case):
    """Problems that resemble the paper's, for which its reductions were not derived."""
    problem, model = wide(), wide().model(wide().parameters)
    if case == "a is 0":
        return flowsim.Problem(eqx.tree_at(lambda m: m.a, model, jnp.zeros_like(model.a)), problem.task)
    if case == "W_K and W_Q are frozen":
        trained = eqx.tree_at(lambda m: (m.W_K, m.W_Q), model.trainable(), (False, False))
        return flowsim.Problem(model, problem.task, trainable=trained)
    if case == "a is trained":
        return flowsim.Problem(model, problem.task, trainable=eqx.tree_at(lambda m: m.a, model.trainable(), True))
    tied = Tied(vocabulary=10, width=40, neurons=12, key=jax.random.key(0))
    names = ("W", "W_V", "W_K", "W_Q", "a")
    tied = eqx.tree_at(lambda m: [getattr(m, n) for n in names], tied, [getattr(model, n) for n in names])
    return flowsim.Problem(tied, problem.task)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["another forward pass", "a is 0", "W_K and W_Q are frozen", "a is trained"])
def test_what_a_reduction_was_not_derived_for_is_integrated_as_it_is(case):
    problem = changed(case)
    assert reductions.reduce(problem).name == "none"
    with pytest.raises(ValueError, match="reduction rotation does not apply"):
        reductions.reduce(problem, "rotation")
    result = flowsim.simulate(problem, t1=1.0, solver="tsit5", rtol=1e-5, atol=1e-7)
    assert np.isfinite(result.final["loss"])
    if case == "another forward pass":  # which never reads W_Q
        np.testing.assert_array_equal(result.model.W_Q, problem.parameters.W_Q)
    if case == "a is trained":
        assert np.any(result.model.a != problem.parameters.a)


def test_sizes_and_choice():
    sizes = {name: flowsim._tree.size(reductions.reduce(wide(unseen=2), name).problem.parameters) for name in NAMES[:3]}
    assert sizes["vocabulary"] < sizes["rotation"] < sizes["readout"]
    assert reductions.reduce(wide(unseen=2)).name == "vocabulary"
    assert reductions.reduce(wide()).name in ("rotation", "vocabulary")
    assert reductions.reduce(flowsim.Problem.from_loss(lambda x: jnp.sum(x), jnp.ones(2))).name == "none"
    with pytest.raises(ValueError, match="unknown reduction"):
        reductions.reduce(wide(), "rotate")


def test_single_parameters_of_gram_are_refused():
    with pytest.raises(ValueError, match="inner products"):
        flowsim.simulate(wide(), t1=1.0, reduction="gram", probes={"w": lambda model: model.W[0, 0]})


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["auto", "none", "gram"])
def test_reference(name):
    problem, arrays = reference()
    result = flowsim.simulate(problem, t1=50.0, rtol=1e-11, atol=1e-13, reduction=name, save_times=arrays["times"])
    if name != "gram":
        assert distance(result.model, arrays) < 1e-11
    np.testing.assert_allclose(result.trajectory.values["loss"], arrays["loss"], rtol=1e-8)


@pytest.mark.parametrize("columns", ["scaled", "dependent", "zero"])
def test_tall_bases_are_orthonormal_and_hold_the_columns(columns):
    x = jax.random.normal(jax.random.key(0), (5000, 140))
    x = {
        "scaled": x * jnp.logspace(0, -3, 140),
        "dependent": x.at[:, 3].set(x[:, 1] - 2 * x[:, 2]),
        "zero": x.at[:, 70:].set(0.0),
    }[columns]
    basis = jax.jit(_orthonormal)(x)
    np.testing.assert_allclose(basis.T @ basis, jnp.eye(140), atol=5e-15)
    np.testing.assert_allclose(basis @ (basis.T @ x), x, atol=1e-13)


def test_every_run_checks_that_its_reduction_is_this_problems():
    """One evaluation at the start: a reduction that was derived for another forward pass differs there."""
    problem, other = wide(), wide(seed=1)
    wrong = eqx.tree_at(
        lambda r: r.problem, reductions.reduce(problem, "rotation"), reductions.reduce(other, "rotation").problem
    )
    with pytest.raises(RuntimeError, match="not exact here: use reduction='none'"):
        prepare(problem, Settings(1.0), reduction=wrong)
