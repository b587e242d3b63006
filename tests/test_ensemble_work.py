"""A batch costs the work of its members, and not its size times the work of the slowest."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import ensemble

together = sys.modules["flowsim.simulation.together"]  # `flowsim.simulation.together` is the function


def made(start):
    """u'= -u v², v' = -u² v: u² - v² is conserved, and the steps of a large one are as short as stability wants."""
    return flowsim.Problem.from_loss(lambda x: jnp.prod(x) ** 2 / 2, start)


@pytest.fixture(name="paid")
def _paid(monkeypatch):
    """(lanes, passes, steps tried in all) of each call of the compiled loop."""
    calls, real = [], together.proceed_all

    def tries(lanes):
        return np.asarray(lanes.carry.steps + lanes.carry.rejected)

    def counted(stacked, lanes, passes, limit):
        before = tries(lanes)
        new, counts = real(stacked, lanes, passes, limit)
        taken = tries(new) - before  # a lane that moves tries one step a pass, so that the most of them are the passes
        calls.append((len(taken), int(np.max(taken)), int(np.sum(taken))))
        return new, counts

    monkeypatch.setattr(together, "proceed_all", counted)
    return calls


@pytest.mark.thorough
@pytest.mark.parametrize(("members", "times"), [(64, 6), (512, 3)])
def test_members_that_end_are_taken_out_of_the_batch(paid, members, times):
    """One of about 11 000 steps among many of about 210: without that it is 30 and 47 times the members' steps."""
    rates, place = np.full(members, 500.0), members // 3
    rates[place] = 30_000.0
    starts = np.stack([np.sqrt(rates), np.ones(members)], axis=1)
    result = ensemble.simulate(
        made, starts, t1=1.0, solver="tsit5", rtol=1e-5, keep=["loss"], save_times=[0.01, 1.0], batch=members
    )
    lanes, passes, tried = map(np.asarray, zip(*paid, strict=True))
    assert lanes[0] == members
    assert lanes[-1] == 8  # as small as a batch gets
    assert np.sum(lanes * passes) <= times * np.sum(tried)
    assert result.ok
    assert not result.members.alone
    losses = result.members.values("loss", np.array([0.0, 0.01]))
    others = np.arange(members) != place
    assert np.all(losses[others] == losses[0])  # each is at its place again
    np.testing.assert_allclose(losses[:, 0], rates / 2)
    exact = np.where(others, exact_loss(500.0, 0.01), exact_loss(30_000.0, 0.01))
    np.testing.assert_allclose(losses[:, 1], exact, rtol=1e-2, atol=1e-6)


def exact_loss(rate, time):
    """With w = u² and z = v², w - z = D is conserved, and z' = -2 z (z + D)."""
    conserved = rate - 1
    part = np.exp(-2 * conserved * time) / rate
    z = conserved * part / (1 - part)
    return z * (z + conserved) / 2
