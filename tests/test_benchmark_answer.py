"""`benchmarks.answer` in small: its contestants give the same final parameters, and every one is timed."""

import jax
import numpy as np
import pytest
from benchmarks import answer

import flowsim


@pytest.mark.slow
def test_the_contestants_agree():
    keys = jax.random.split(jax.random.key(0), 3)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=4, neurons=4, key=keys[1])
    problem = flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)
    found = answer.measured(problem, 2.0, repeats=1)
    assert set(found) == {answer.BARE, answer.SAVED, answer.LOOP, answer.EVENT, answer.WHOLE}
    ends = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(one["end"])]) for one in found.values()]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=0, atol=1e-6 * np.abs(ends[0]).max())
    assert all(one["seconds"] > 0 and one["programs"] > 0 for one in found.values())
