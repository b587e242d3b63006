"""The co-occurrence task against its definition."""

import jax
import numpy as np
import pytest
from scipy.linalg import expm

import flowsim

make = flowsim.tasks.cooccurrence


def test_groups_hold_what_they_are_named_for():
    task = make(samples=60, length=5, vocabulary=64, key=jax.random.key(0))
    tokens, groups = np.asarray(task.tokens), np.asarray(task.groups)
    assert np.bincount(groups).tolist() == [30, 10, 10, 10]
    for sample, group in zip(tokens, groups, strict=True):
        counts = [int((sample == word).sum()) for word in (0, 1, 2)]
        assert counts == [[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]][group]
    np.testing.assert_array_equal(task.labels, np.where(groups == 0, 1, -1))


def test_positions_are_uniform():
    task = make(samples=6000, length=5, vocabulary=64, key=jax.random.key(1))
    where = np.argmax(np.asarray(task.tokens) == 2, axis=1)
    counts = np.bincount(where, minlength=5)
    assert np.max(np.abs(counts - 1200)) < 5 * np.sqrt(6000 * 0.2 * 0.8)


def test_drawn_groups_have_the_papers_probabilities():
    task = make(samples=6001, length=5, vocabulary=64, exact_groups=False, key=jax.random.key(2))
    share = np.bincount(np.asarray(task.groups), minlength=4) / 6001
    np.testing.assert_allclose(share, [1 / 2, 1 / 6, 1 / 6, 1 / 6], atol=0.03)


def test_distinct_words_are_distinct():
    need = flowsim.tasks.random_positions(flowsim.tasks.exact_sizes(12), 4) + 3
    task = make(samples=12, length=4, vocabulary=need, distinct_words=True, key=jax.random.key(3))
    words = np.asarray(task.tokens)
    words = words[words > 2]
    assert len(words) == need - 3 == len(set(words.tolist()))


def test_groups_of_other_sizes():
    need = flowsim.tasks.random_positions((4, 5, 0, 3), 4) + 3
    options = {"samples": 12, "length": 4, "distinct_words": True, "group_sizes": (4, 5, 0, 3)}
    task = make(**options, vocabulary=need, key=jax.random.key(3))
    assert np.bincount(np.asarray(task.groups), minlength=4).tolist() == [4, 5, 0, 3]
    words = np.asarray(task.tokens)
    assert (words > 2).sum() == need - 3 == len(set(words[words > 2].tolist()))
    with pytest.raises(ValueError, match="vocabulary of at least"):
        make(**options, vocabulary=need - 1, key=jax.random.key(3))


def test_three_targets():
    task = make(samples=24, length=6, vocabulary=30, targets=3, key=jax.random.key(4))
    assert task.group_names == ("all", "target_0", "target_1", "target_2", "neither")
    tokens, groups = np.asarray(task.tokens), np.asarray(task.groups)
    present = np.stack([(tokens == word).sum(1) for word in range(4)], axis=1)
    expected = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    np.testing.assert_array_equal(present, expected[groups])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"samples": 61}, "divisible by 6"),
        ({"length": 2}, "length must be at least"),
        ({"vocabulary": 3}, "vocabulary must be at least"),
        ({"distinct_words": True}, "vocabulary of at least"),
        ({"targets": 1}, "targets"),
        ({"group_sizes": (30, 10, 10)}, "group_sizes must be 4"),
        ({"group_sizes": (30, 10, 10, 11)}, "group_sizes must be 4"),
    ],
)
def test_impossible_tasks_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        make(**{"samples": 60, "length": 5, "vocabulary": 64, "key": jax.random.key(0), **change})


def test_arrays_are_checked():
    good = {"tokens": np.array([[0, 1], [2, 1]]), "labels": np.array([1, -1]), "vocabulary": 3}
    flowsim.tasks.from_arrays(**good)
    for change, match in [({"vocabulary": 2}, "tokens"), ({"labels": np.array([0, 1])}, "labels")]:
        with pytest.raises(ValueError, match=match):
            flowsim.tasks.from_arrays(**{**good, **change})


def test_inputs_and_labels_of_ones_own():
    """A linear network of one layer on the user's numbers is least squares: its flow is known."""
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    task = flowsim.tasks.from_arrays(inputs, labels)
    assert task.target == "value"
    problem = flowsim.Problem(flowsim.models.DeepLinear(sizes=(2, 1), key=jax.random.key(0)), task, loss="squared")
    result = flowsim.simulate(problem, t1=1.0, save_times=[1.0])
    matrix = inputs.T @ inputs / 6
    best = np.linalg.solve(matrix, inputs.T @ labels / 6)
    start = np.asarray(problem.parameters.layers[0]).T
    np.testing.assert_allclose(result.parameters.layers[0].T, best + expm(-matrix) @ (start - best), rtol=1e-6)
