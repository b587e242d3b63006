"""Staged flows: which leaves train when, switched by events at their exact times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import flows, simulation

from .test_flows import run


def _two_rates(p):
    return jnp.sum(p["a"] ** 2) / 2 + jnp.sum(p["b"] ** 2)


def _product(t, p):
    return p["a"][0] * p["b"][0] - 0.5


def test_stages_switch_at_the_events_exact_time():
    """First a alone falls like exp(-t) until a = 1/2 at log 2; then both fall; save times change nothing."""
    problem = flowsim.Problem.from_loss(_two_rates, {"a": jnp.ones(2), "b": jnp.ones(3)})
    flow = flows.staged([{"train": ["a"], "until": "product"}, {}])
    event = flowsim.events.crossing("product", _product, direction="down")
    times = np.linspace(0, 2, 41)
    few = run(problem, flow, 2.0, events=[event])
    many = run(problem, flow, 2.0, events=[event], save_times=times, probes={"a": _a, "b": _b}, certificate=True)
    assert few.events["product"].times == [pytest.approx(np.log(2), abs=1e-10)]
    np.testing.assert_allclose(few.parameters["a"], np.exp(-2.0), atol=1e-9)
    np.testing.assert_allclose(few.parameters["b"], np.exp(-2 * (2.0 - np.log(2))), atol=1e-9)
    assert few.solver.steps == many.solver.steps
    np.testing.assert_allclose(many.trajectory.time, times)
    np.testing.assert_allclose(many.trajectory.values["a"], np.exp(-times), atol=1e-7)
    np.testing.assert_allclose(many.trajectory.values["b"], np.exp(-2 * np.maximum(times - np.log(2), 0)), atol=1e-7)
    assert many.certificate.relative_error < 1e-7
    assert many.certificate.event_errors["product"] < 1e-8
    assert many.energy_identity < 1e-8


def _a(p):
    return p["a"][0]


def _b(p):
    return p["b"][0]


class From(simulation.AbstractConsumer):
    """Puts a chunk into the history, as if it had been stored."""

    def __init__(self, chunk):
        self._chunk = chunk

    def begin(self, prepared, history):
        history.add(self._chunk)

    def take(self, chunk, history):
        pass


@pytest.mark.slow
def test_stages_go_on_from_a_carry():
    """A run that is taken up from the carry of any chunk takes the same steps to the last bit."""
    problem = flowsim.Problem.from_loss(_two_rates, {"a": jnp.ones(2), "b": jnp.ones(3)})
    flow = flows.staged([{"train": ["a"], "until": "product"}, {"train": ["b"]}], flows.momentum(friction=1.0))
    event = flowsim.events.crossing("product", _product, direction="down")
    prepared = simulation.prepare(problem, simulation.Settings(3.0), events=[event], flow=flow)
    chunks, again = [], []
    simulation.run(prepared, simulation.ForEach(chunks.append))
    assert len(chunks) >= 2
    simulation.run(prepared, From(chunks[0]), simulation.ForEach(again.append))
    for x, y in zip(*(jax.tree.leaves(c[-1].carry.state) for c in (chunks, again)), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "at least one stage"),
        ([{"train": ["a"]}, {}], "stage 1 of 2 needs `until`"),
        ([{"until": "x"}], "stage 1 of 1 is the last"),
        ([{"train": "a"}], "list of names"),
        ([{"trian": ["a"]}], "got trian"),
        ([{"until": "x"}, {}], "which is not an event of this run"),
    ],
)
def test_schedules_that_cannot_be_meant(stages, message):
    problem = flowsim.Problem.from_loss(_two_rates, {"a": jnp.ones(2), "b": jnp.ones(3)})
    with pytest.raises(ValueError, match=message):
        flowsim.simulate(problem, t1=1.0, flow=flows.staged(stages))
