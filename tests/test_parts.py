"""The risk by sums over parts of the samples: the same numbers, and memory that does not grow with the samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.problem import parts


def language(samples):
    return flowsim.tasks.next_token(samples=samples, length=8, vocabulary=12, key=jax.random.key(0))


def problem(samples=20, **more):
    model = flowsim.models.Transformer(
        vocabulary=12, outputs=12, width=16, residual=True, causal=True, readout="each", neurons=16, activation="gelu",
        key=jax.random.key(1),
    )  # fmt: skip
    return flowsim.Problem(model, language(samples), loss="cross_entropy", **more)


@pytest.mark.thorough
@pytest.mark.parametrize("at_once", [1, 7, 20])
def test_parts_give_the_same_risk_gradient_and_margins(at_once):
    whole, split = problem(samples_at_once="all"), problem(samples_at_once=at_once)
    assert split.samples_at_once == (None if at_once == 20 else at_once)
    for quantity in (whole.__class__.risk, whole.__class__.margins, whole.__class__.losses):
        there, here = (jax.jit(lambda p, x=x, q=quantity: q(x, p))(x.parameters) for x in (whole, split))
        np.testing.assert_allclose(here, there, rtol=1e-13, atol=1e-15)
    (a, ra), (b, rb) = (x.velocity(x.parameters) for x in (whole, split))
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(rb, ra, rtol=1e-12)


def test_weights_and_parts():
    weights = jnp.linspace(0.5, 1.5, 20)
    whole, split = (problem(weights=weights, samples_at_once=k) for k in ("all", 6))
    np.testing.assert_allclose(split.risk(split.parameters), whole.risk(whole.parameters), rtol=1e-13)


def held(samples, at_once):
    """Bytes that one gradient holds beside its arguments and results."""
    x = problem(samples, samples_at_once=at_once)
    compiled = jax.jit(lambda p: x.velocity(p)).lower(x.parameters).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_samples():
    small, large = held(64, 16), held(1024, 16)
    inputs = 1024 * 8 * 8 * 2  # tokens and labels, which the program may copy once
    assert large - small <= 2 * inputs
    assert held(1024, "all") > 4 * large


def test_a_size_is_chosen_where_memory_is_short(monkeypatch):
    x = problem(2000, samples_at_once="all")
    one = parts.bytes_of_one(x.model(x.parameters), x.task)
    assert one > 8 * 8 * 12  # the logits alone
    monkeypatch.setattr("flowsim._memory.available", lambda: 8.0 * 50 * one)
    assert problem(2000).samples_at_once == 50
    monkeypatch.setattr("flowsim._memory.available", lambda: 1e15)
    assert problem(2000).samples_at_once is None


def test_what_all_samples_share_is_not_counted():
    """The word model's scores of all pairs of words are computed once, whatever the number of samples."""
    sizes = []
    for vocabulary in (50, 200):
        task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=vocabulary, key=jax.random.key(0))
        model = flowsim.models.CooccurrenceTransformer(vocabulary=vocabulary, width=8, neurons=8, key=jax.random.key(1))
        sizes.append(parts.bytes_of_one(model, task))
    assert sizes[0] == sizes[1]


def bits(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def gradient(problem):
    return jax.jit(lambda p: problem.velocity(p))(problem.parameters)


def test_a_gradient_in_parts_has_the_same_bits_again():
    """Also of a problem made anew, by a program of its own: the parts are summed in one order."""
    found = []
    for _ in range(2):
        x = problem(samples_at_once=7)
        found.append(bits(gradient(x)))
        jax.clear_caches()
    assert found[0] == found[1]
    assert bits(gradient(problem(samples_at_once="all"))) != found[0]  # another order of the sum is seen


@pytest.mark.slow
def test_a_run_in_parts_has_the_same_bits_again():
    found = []
    for _ in range(2):
        result = flowsim.simulate(problem(samples_at_once=7), t1=0.5, rtol=1e-5, solver="tsit5")
        assert result.status.ok
        found.append((bits(result.parameters), bits(result.trajectory.values), result.solver.steps))
        jax.clear_caches()
    assert found[0] == found[1]


@pytest.mark.slow
def test_reductions_keep_the_parts():
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=9, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=9, width=16, neurons=8, key=jax.random.key(1))
    whole, split = (flowsim.Problem(model, task, samples_at_once=k) for k in ("all", 5))
    a, b = (flowsim.simulate(x, t1=2.0) for x in (whole, split))
    assert flowsim.reductions.reduce(split).problem.samples_at_once == 5
    np.testing.assert_allclose(b.final["loss"], a.final["loss"], rtol=1e-10)


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "few", True])
def test_sizes_that_cannot_be_meant(wrong):
    with pytest.raises((ValueError, TypeError), match="samples_at_once"):
        problem(samples_at_once=wrong)
