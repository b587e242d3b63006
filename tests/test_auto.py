"""`auto`: an explicit method that hands over to a stabilised one where the flow is stiff, and takes over again."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.result import assemble
from flowsim.simulation import AbstractConsumer, ForEach, Settings, prepare, run, start
from flowsim.simulation.stiff import curvature, give_up, reconsider
from flowsim.store.segments import Identity, Segments

EIGENVALUES = np.array([0.02, 0.5, 40.0, 900.0])
START = np.array([1.0, -2.0, 1.5, 1.0])
T1 = 50.0
WHO = Identity({}, {}, {}, "cpu")


def stiff():
    """A quadratic whose flow is known: each coordinate decays at its own rate."""
    return flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.asarray(EIGENVALUES) * p**2) / 2, jnp.asarray(START))


def run_of(problem, rtol=1e-6, solver="auto"):
    return prepare(problem, Settings(T1, solver, rtol, rtol * 1e-2), save_times=np.linspace(0, T1, 11))


@pytest.mark.parametrize(("rtol", "kind"), [(1e-4, "exponential"), (1e-7, "stabilized4")])
def test_a_stiff_flow_changes_hands_and_is_cheaper(rtol, kind):
    options = {"t1": T1, "rtol": rtol, "atol": rtol * 1e-2, "save_times": [0.0, T1]}
    plain = flowsim.solvers.choose(rtol)
    auto, explicit = (flowsim.simulate(stiff(), solver=s, **options) for s in ("auto", plain))
    assert auto.status.ok
    assert auto.solver.kind == explicit.solver.kind == plain
    assert [switch.kind for switch in auto.solver.switches] == [kind]
    assert explicit.solver.switches == ()
    assert auto.solver.vector_field_evaluations < explicit.solver.vector_field_evaluations / 5
    np.testing.assert_allclose(auto.parameters, START * np.exp(-EIGENVALUES * T1), atol=20 * rtol)
    certificate = auto.certificate
    true = np.linalg.norm(auto.parameters - START * np.exp(-EIGENVALUES * T1)) / np.linalg.norm(auto.parameters - START)
    assert true <= certificate.relative_error <= 1e3 * rtol
    assert "and stabilized" in certificate.method


def test_a_flow_that_is_not_stiff_stays():
    """Accuracy sizes the steps of a logistic loss: nothing is gained, and nothing changes hands."""
    keys = jax.random.split(jax.random.key(0), 3)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=8, neurons=8, key=keys[1])
    problem = flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)
    options = {"t1": 1e5, "rtol": 1e-8, "atol": 1e-10, "save_times": [0.0, 1e5]}
    auto, explicit = (flowsim.simulate(problem, solver=s, **options) for s in ("auto", "dopri8"))
    assert auto.solver.switches == ()
    for mine, other in zip(jax.tree.leaves(auto.parameters), jax.tree.leaves(explicit.parameters), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_only_auto_changes_hands_and_only_on_gradient_flows():
    assert run_of(stiff()).stiff is not None
    assert run_of(stiff(), solver="tsit5").stiff is None
    heavy = prepare(stiff(), Settings(T1), flow=flowsim.flows.momentum(friction=1.0))
    assert heavy.stiff is None


def test_events_and_saved_rows_do_not_notice():
    """One moment between two changes of hands is found once, and every row is there."""
    event = flowsim.events.crossing("falls", lambda t, p: p[0] - 0.5)
    result = flowsim.simulate(
        stiff(), t1=T1, rtol=1e-6, atol=1e-8, events=[event], save_times=np.linspace(0, T1, 101),
        probes={"first": lambda p: p[0]},
    )  # fmt: skip
    assert result.solver.switches
    np.testing.assert_allclose(result.events["falls"].times, [np.log(2) / 0.02], rtol=1e-5)
    times = result.dataset["time"].values
    np.testing.assert_array_equal(times, np.linspace(0, T1, 101))
    np.testing.assert_allclose(result.dataset["first"], np.exp(-0.02 * times), atol=1e-5)


class Stored(AbstractConsumer):
    """Restores a history from segments, and notes the solver with which it went on."""

    def __init__(self, segments, solvers):
        self._segments, self._solvers = segments, solvers

    def begin(self, prepared, history):
        self._segments.restore(prepared.methods, WHO, history)
        self._solvers.append(history.solver)

    def take(self, chunk, history):
        pass


def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path):
    """From every chunk on, those before and after the change of hands among them."""
    prepared = run_of(stiff())
    chunks = []
    run(prepared, ForEach(chunks.append))
    kinds = [chunk.solver for chunk in chunks]
    assert len(set(kinds)) == 2
    whole = prepared.history()
    for chunk in chunks:
        whole.add(chunk)
    for k in range(1, len(chunks)):
        segments = Segments(tmp_path / str(k))
        segments.create()
        for index, chunk in enumerate(chunks[:k]):
            segments.append(index, chunk, WHO)
        solvers = []
        history = run(prepared, Stored(segments, solvers))
        assert solvers == [kinds[k - 1]]
        assert history.switches == whole.switches
        for mine, other in zip(jax.tree.leaves(history.carry), jax.tree.leaves(whole.carry), strict=True):
            np.testing.assert_array_equal(mine, other)
    record = assemble(prepared, whole).solver
    assert [switch.kind for switch in record.switches] == ["stabilized4"]


def stabilised_carry(methods, *, step, pace):
    """The loop as it stands with a stabilised method at t = 1, with λ known."""
    assert methods.stabilised is not None
    carry = start(methods.stabilised)
    now = dataclasses.replace(carry.clock, high=jnp.asarray(1.0))
    return eqx.tree_at(
        lambda c: (c.clock, c.previous_step, c.pace, c.evaluations, c.solver.spectrum.radius),
        carry,
        (now, jnp.asarray(step), jnp.asarray(pace), jnp.asarray(600), jnp.asarray(900.0)),
    )


def test_the_explicit_method_takes_over_again():
    methods = run_of(stiff()).methods
    before = (0.5, 100, 0)  # 500 evaluations for half a unit of time: a pace of 1000
    kept, _ = reconsider(methods, methods.stabilised, before, stabilised_carry(methods, step=1.0, pace=2000.0))
    assert kept is methods.stabilised
    # It does not pay: more evaluations for a unit of time than the explicit method needed. The next try waits.
    back, carry = reconsider(methods, methods.stabilised, before, stabilised_carry(methods, step=1.0, pace=500.0))
    assert back is methods.explicit
    assert float(carry.patience) == 4.0
    # Not stiff any longer: the explicit method's step could be as long.
    back, _ = reconsider(methods, methods.stabilised, before, stabilised_carry(methods, step=1e-3, pace=2000.0))
    assert back is methods.explicit
    # It failed: never again.
    back, carry = give_up(methods, stabilised_carry(methods, step=1.0, pace=2000.0))
    assert back is methods.explicit
    assert np.isinf(carry.patience)


def test_the_curvature_is_the_hessian_s():
    prepared = run_of(stiff())
    radius, products = curvature(prepared.plan, start(prepared.plan))
    np.testing.assert_allclose(radius, EIGENVALUES.max(), rtol=0.02)
    assert 1 <= int(products) <= 50
