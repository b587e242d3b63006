"""`auto`: an explicit method that hands over to a stabilized one where the flow is stiff, and takes over again."""

import dataclasses
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.result import assemble
from flowsim.simulation import AbstractConsumer, ForEach, Settings, prepare, run, start
from flowsim.simulation.stiff import give_up, reconsider
from flowsim.simulation.stiffness import curvature
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


@pytest.mark.thorough
@pytest.mark.parametrize(("rtol", "kind"), [(1e-4, "stabilized"), (1e-7, "stabilized4")])
def test_a_stiff_flow_changes_hands_and_is_cheaper(rtol, kind):
    options = {"t1": T1, "rtol": rtol, "atol": rtol * 1e-2, "save_times": [0.0, T1]}
    plain = flowsim.solvers.choose(rtol)
    auto, explicit = (flowsim.simulate(stiff(), solver=s, **options) for s in ("auto", plain))
    assert auto.status.ok
    assert auto.solver.kind == explicit.solver.kind == plain
    assert [switch.kind for switch in auto.solver.switches] == [kind, "exponential"]
    assert explicit.solver.switches == ()
    assert auto.solver.vector_field_evaluations < explicit.solver.vector_field_evaluations / 5
    np.testing.assert_allclose(auto.parameters, START * np.exp(-EIGENVALUES * T1), atol=20 * rtol)
    certificate = auto.certificate
    true = np.linalg.norm(auto.parameters - START * np.exp(-EIGENVALUES * T1)) / np.linalg.norm(auto.parameters - START)
    assert true <= certificate.relative_error <= 1e3 * rtol
    assert "and stabilized" in certificate.method


@pytest.mark.slow
def test_a_flow_that_is_not_stiff_stays():
    """Accuracy sizes the steps of a logistic loss: nothing is gained, and nothing changes hands."""
    keys = jax.random.split(jax.random.key(0), 3)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=8, neurons=8, key=keys[1])
    problem = flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)
    options = {"t1": 1e5, "rtol": 1e-8, "atol": 1e-10, "save_times": [0.0, 1e5]}
    auto, explicit = (flowsim.simulate(problem, solver=s, **options) for s in ("auto", "tsit5"))
    assert auto.solver.switches == ()
    for mine, other in zip(jax.tree.leaves(auto.parameters), jax.tree.leaves(explicit.parameters), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_only_auto_changes_hands_and_only_on_gradient_flows():
    assert [method.kind for method in run_of(stiff()).stiff] == ["stabilized4", "exponential"]
    assert not run_of(stiff(), solver="tsit5").stiff
    heavy = prepare(stiff(), Settings(T1), flow=flowsim.flows.momentum(friction=1.0))
    assert not heavy.stiff


@pytest.mark.slow
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
    """From every chunk on, those before and after the changes of hands among them."""
    prepared = run_of(stiff())
    chunks = []
    run(prepared, ForEach(chunks.append))
    kinds = [chunk.solver for chunk in chunks]
    assert set(kinds) == {"tsit5", "stabilized4", "exponential"}
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
    assert [switch.kind for switch in record.switches] == ["stabilized4", "exponential"]


def carry_of(methods, kind, *, spent, **choice):
    """The loop at t = 1 with 900 for λ, after a window of half a unit of time and 500 evaluations."""
    carry = start(methods.named(kind))
    half = dataclasses.replace(carry.clock, high=jnp.asarray(0.5))
    known = {
        "clock": half, "evaluations": jnp.asarray(spent - 500), "trial_clock": half,
        "trial_evaluations": jnp.asarray(spent - 500), "per_radius": jnp.asarray(2.0), **choice,
    }  # fmt: skip
    return eqx.tree_at(
        lambda c: (c.clock, c.evaluations, c.solver.radius, *(getattr(c.choice, name) for name in known)),
        carry,
        (dataclasses.replace(half, high=jnp.asarray(1.0)), jnp.asarray(spent), jnp.asarray(900.0), *known.values()),
    )


TRIED = {"incumbent": jnp.asarray(0)}


def test_a_trial_that_pays_keeps_the_flow():
    methods = run_of(stiff()).methods
    carry = carry_of(methods, "exponential", spent=2000, pace=jnp.array([1500.0, jnp.inf, jnp.inf]), **TRIED)
    plan, carry = reconsider(methods, methods.stiff[1], carry)
    assert plan is methods.stiff[1]
    assert int(carry.choice.incumbent) == -1
    # The other method for stiff flows waits until some more is spent.
    np.testing.assert_array_equal(carry.choice.again, [0, 2600, 0])


def test_a_trial_that_does_not_pay_waits_until_its_waste_is_a_small_share():
    """500 evaluations for what takes the explicit method 300: 200 are 5 % of 4 000, but 2 000 were spent before."""
    methods = run_of(stiff()).methods
    carry = carry_of(methods, "exponential", spent=2000, pace=jnp.array([600.0, jnp.inf, 1000.0]), **TRIED)
    plan, carry = reconsider(methods, methods.stiff[1], carry)
    assert plan is methods.explicit
    np.testing.assert_allclose(carry.choice.again, [0, 0, 4000])
    assert int(carry.choice.incumbent) == -1


def test_the_explicit_method_is_tried_again_where_it_would_be_cheaper():
    methods = run_of(stiff()).methods
    exponential = methods.stiff[1]
    known = {"pace": jnp.array([1800.0, jnp.inf, 1000.0]), "again": jnp.array([0.0, jnp.inf, 0.0])}
    # At the edge of stability a unit of time takes it 2 λ = 1 800 evaluations, and this one 1 000.
    kept, _ = reconsider(methods, exponential, carry_of(methods, "exponential", spent=2000, **known))
    assert kept is exponential
    # λ has fallen, and the edge is far.
    fallen = carry_of(methods, "exponential", spent=2000, **known, per_radius=jnp.asarray(0.5))
    back, carry = reconsider(methods, exponential, fallen)
    assert back is methods.explicit
    assert int(carry.choice.incumbent) == 2
    # Not before a trial that was in vain is paid for.
    waiting = carry_of(
        methods, "exponential", spent=2000, pace=known["pace"], again=jnp.array([3000.0, jnp.inf, 0.0]),
        per_radius=jnp.asarray(0.5),
    )  # fmt: skip
    assert reconsider(methods, exponential, waiting)[0] is exponential
    # One that failed: never again.
    back, carry = give_up(methods, exponential, waiting)
    assert back is methods.explicit
    assert np.isinf(carry.choice.again[2])


def test_the_curvature_is_the_hessian_s():
    prepared = run_of(stiff())
    radius, products = curvature(prepared.plan, start(prepared.plan))
    np.testing.assert_allclose(radius, EIGENVALUES.max(), rtol=0.02)
    assert 1 <= int(products) <= 50


WIDE = jnp.array([1.0, 1e4, 1e8])


def wide_spectrum():
    return flowsim.Problem.from_loss(lambda p: jnp.sum(WIDE * p**2) / 2, jnp.ones(3))


def valley():
    """From (2, 1) into a valley of minima, where λ stays and nothing moves."""
    return flowsim.Problem.from_loss(lambda p: (p[0] * p[1] - 1) ** 2 / 2, jnp.array([2.0, 1.0]))


def wandering(curvature):
    def risk(p):
        return curvature(p[1]) * (p[0] - jnp.sin(p[1])) ** 2 / 2 - p[1]

    return flowsim.Problem.from_loss(risk, jnp.array([1.0, 0.0]))


def stiff_five_times():
    return wandering(lambda y: 2 + 3000 * jnp.sin(jnp.pi * y / 8) ** 8)


def evaluations(problem, solver, t1, rtol):
    result = flowsim.simulate(problem, t1=t1, solver=solver, rtol=rtol, atol=rtol / 100, save_times=[t1])
    assert result.status.ok
    return result.solver.vector_field_evaluations


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "t1", "rtol", "named"),
    [(valley, 1e6, 1e-6, "exponential"), (stiff_five_times, 40.0, 1e-4, "exponential"), (stiff, T1, 1e-7, "dopri8")],
)
def test_it_costs_at_most_half_as_much_again_as_the_named_solver(problem, t1, rtol, named):
    mine, other = (evaluations(problem(), solver, t1, rtol) for solver in ("auto", named))
    assert mine <= 1.5 * other


@pytest.mark.slow
def test_a_spectrum_too_wide_for_a_stabilized_method_is_integrated_and_verified():
    """λ ratio 10⁸: a stabilized method would take ten million evaluations, for the flow and for its certificate."""
    t1 = 10.0
    result = flowsim.simulate(wide_spectrum(), t1=t1, rtol=1e-8, atol=1e-10, save_times=[t1], certificate=True)
    assert result.status.ok
    assert result.solver.vector_field_evaluations < 2000
    exact = np.exp(-np.asarray(WIDE) * t1)
    true = np.linalg.norm(result.parameters - exact) / np.linalg.norm(1 - exact)
    assert true <= result.certificate.relative_error <= 1e-6
    assert result.certificate.evaluations < 5000


class Quadratic(eqx.Module):
    rates: jax.Array

    def __call__(self, p):
        return jnp.sum(self.rates * p**2) / 2


@pytest.mark.slow
def test_a_batch_hands_over_as_its_members_alone_do():
    """Each costs at most half as much again as by itself, and ends where it does."""

    def member(seed):
        return flowsim.Problem.from_loss(Quadratic(jnp.asarray(EIGENVALUES * (1 + seed))), jnp.asarray(START))

    options = {"t1": T1, "rtol": 1e-5, "atol": 1e-7, "save_times": [0.0, T1]}
    together = flowsim.ensemble.simulate(member, (0, 1, 2), backend="vmap", **options)
    for seed, found in zip((0, 1, 2), together.members, strict=True):
        alone = flowsim.simulate(member(seed), **options)
        assert [switch.kind for switch in found.solver.switches] == [switch.kind for switch in alone.solver.switches]
        assert found.solver.switches
        assert found.solver.vector_field_evaluations <= 1.5 * alone.solver.vector_field_evaluations
        np.testing.assert_allclose(found.trajectory.values["loss"], alone.trajectory.values["loss"], atol=1e-9)


@pytest.mark.slow
def test_a_stiff_run_leaves_a_batch_only_where_that_pays(monkeypatch):
    """On an accelerator a run by itself costs what hundreds together do: few evaluations to come are taken there."""
    together = sys.modules["flowsim.simulation.together"]
    assert together.worth_leaving("gpu") > together.worth_leaving("cpu")
    options = {"t1": 3.0, "rtol": 1e-5, "atol": 1e-7, "save_times": [0.0, 3.0], "backend": "vmap"}

    def member(seed):
        return flowsim.Problem.from_loss(Quadratic(jnp.asarray([1.0, 1000.0 + seed])), jnp.ones(2))

    left = flowsim.ensemble.simulate(member, (0, 1), **options)
    monkeypatch.setattr(together, "worth_leaving", lambda backend: 10_000)
    stayed = flowsim.ensemble.simulate(member, (0, 1), **options)
    assert len(left.members.alone) == 2
    assert not stayed.members.alone
    for one, other in zip(left.members, stayed.members, strict=True):
        np.testing.assert_allclose(one.trajectory.values["loss"], other.trajectory.values["loss"], rtol=1e-3)


@pytest.mark.slow
def test_a_wrapped_flow_hands_over():
    """Decay as a part of the flow costs what it costs as a part of the loss."""
    rate, options = 0.5, {"t1": T1, "rtol": 1e-6, "atol": 1e-8, "save_times": [T1]}
    wrapped = flowsim.simulate(stiff(), flow=flowsim.flows.weight_decay(strength=rate), **options)
    in_loss = flowsim.Problem.from_loss(
        lambda p: jnp.sum((jnp.asarray(EIGENVALUES) + rate) * p**2) / 2, jnp.asarray(START)
    )
    plain = flowsim.simulate(in_loss, **options)
    assert [s.kind for s in wrapped.solver.switches] == ["stabilized4", "exponential"]
    assert wrapped.solver.vector_field_evaluations <= 1.5 * plain.solver.vector_field_evaluations
    np.testing.assert_allclose(wrapped.parameters, START * np.exp(-(EIGENVALUES + rate) * T1), atol=1e-5)
