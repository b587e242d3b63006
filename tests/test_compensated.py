"""Compensated accumulation: exact sums, no error floor of many steps, and the rest of a run as without it."""

import dataclasses
import itertools
from fractions import Fraction

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import ensemble, solvers
from flowsim.certificate.certify import second
from flowsim.simulation import Settings, prepare
from flowsim.simulation.advance import lowered, start
from flowsim.simulation.stiff import give_up
from flowsim.solver_names import BY_KIND, COMPENSABLE
from flowsim.solvers.compensated import two_sum

STARTS = np.linspace(0.1, 0.9, 9, dtype=np.float32)
STIFF, SLOW = 100.0, 1e-6  # curvatures: a step that the first allows changes nothing of the second's in float32


def logistic(starts=STARTS):
    return flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(starts))


def exact(t, starts=STARTS):
    return 1 / (1 + (1 / np.asarray(starts, float) - 1) * np.exp(-t))


def error(result, t=4.0):
    return np.linalg.norm(np.asarray(result.parameters, float) - exact(t)) / np.linalg.norm(exact(t) - STARTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_sum_loses_nothing(dtype):
    """Compiled, mapped, and in a loop, where XLA may fuse and reorder what it believes to be the same."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=500) * 2.0 ** rng.integers(-30, 30, 500) for _ in range(2))
    x, y = x.astype(dtype), y.astype(dtype)
    for add in (jax.jit(two_sum), jax.jit(jax.vmap(two_sum))):
        high, low = add(jnp.asarray(x), jnp.asarray(y))
        for a, b, s, r in zip(x, y, np.asarray(high), np.asarray(low), strict=True):
            assert Fraction(float(a)) + Fraction(float(b)) == Fraction(float(s)) + Fraction(float(r))
            assert s == a + b

    @jax.jit
    def summed(values):
        def one(total, value):
            high, low = two_sum(total[0], total[1] + value)
            return (high, low), None

        return jax.lax.scan(one, (jnp.ones((), dtype), jnp.zeros((), dtype)), values)[0]

    small = rng.uniform(0, jnp.finfo(dtype).eps / 4, 10_000).astype(dtype)  # each is lost if it is added to 1
    high, low = summed(jnp.asarray(small))
    whole = 1 + sum(Fraction(float(x)) for x in small)
    assert abs(Fraction(float(high)) + Fraction(float(low)) - whole) < 10_000 * float(jnp.finfo(dtype).eps) ** 2
    assert float(high) > 1.0


@pytest.mark.thorough
@pytest.mark.parametrize("kind", COMPENSABLE)
def test_a_step_is_the_methods_own(kind):
    """The same end, error estimate, cost and dense output to rounding, of a field that depends on time as well."""
    y = jnp.asarray([0.7, -1.2])
    term = diffrax.ODETerm(lambda t, y, args: jnp.cos(3 * t) * y - y**3)
    t0, t1, ends = jnp.asarray(0.5), jnp.asarray(0.7), []
    step = None if BY_KIND[kind].adaptive else 0.2
    for on in (False, True):
        method = solvers.make(kind, rtol=1e-6, atol=1e-8, step=step, dtype=jnp.float64, compensated=on)
        memory = jax.tree.map(jnp.asarray, method.solver.init(term, t0, t1, y, None))
        end, found, made, after, _ = method.solver.step(term, t0, t1, y, None, memory, jnp.zeros((), bool))
        if method.finish is not None:
            made = {name: made[name] for name in method.solver.kept} | method.solver.finish(term, t0, t1, None, made)
        dense = method.solver.interpolation_cls(t0=t0, t1=t1, **made)
        inside = [dense.evaluate(t) for t in jnp.linspace(t0, t1, 5)]
        retry = method.after_rejection(memory, after)
        cost = method.evaluations(memory, after)
        ends.append((end, jnp.zeros(2) if found is None else found, *inside, cost))
        assert method.compensated is on
        assert jax.tree.structure(retry) == jax.tree.structure(memory)
    np.testing.assert_allclose(inside[0], y, rtol=1e-15)
    np.testing.assert_allclose(inside[-1], end, rtol=1e-13)
    for plain, other in zip(*ends, strict=True):
        np.testing.assert_allclose(plain, other, rtol=1e-13, atol=1e-15)
    if on:
        np.testing.assert_array_equal(retry.low, memory.low)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["heun", "lean5", "tsit5", "stabilized4", "dop853"])
def test_no_error_floor_of_many_steps(kind):
    """A plain sum's error grows with the number of steps, a compensated one's does not."""
    options = {"t1": 4.0, "solver": kind, "save_times": [0.0, 4.0], "max_steps": 100_000}

    def of(steps, on):
        return error(flowsim.simulate(logistic(), step=4.0 / steps, compensated=on, **options))

    few, many = (500, 40_000) if kind != "heun" else (4000, 40_000)
    eps = 1.2e-7
    assert of(many, False) > 10 * eps
    assert of(many, False) > 3 * of(few, False)
    assert max(of(few, True), of(many, True)) < 2 * eps  # the slopes' roundings, and those of the coefficients


def stiff_and_slow(dtype=np.float32):
    curvatures = jnp.asarray([STIFF, SLOW], dtype)
    return flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.asarray([1.0, 1.0], dtype))


@pytest.mark.parametrize("kind", ["euler", "lean4"])
def test_a_slow_direction_moves(kind):
    """Plain it stands still, however long the run: a step changes it by less than half its last digit."""
    options = {"t1": 200.0, "solver": kind, "step": 0.01, "save_times": [0.0, 200.0]}
    plain = flowsim.simulate(stiff_and_slow(), compensated=False, **options)
    assert plain.parameters[1] == 1.0
    result = flowsim.simulate(stiff_and_slow(), **options)
    assert float(1 - result.parameters[1]) == pytest.approx(-np.expm1(-200 * SLOW), rel=1e-3)
    assert result.solver.compensated
    assert not plain.solver.compensated


def test_refused_steps_lose_nothing():
    """Where stability sizes the steps of an adaptive run, a third of them is refused."""
    options = {"t1": 50.0, "solver": "bosh3", "rtol": 1e-4, "save_times": [0.0, 50.0]}
    curvatures = jnp.asarray([[60.0, 30.0], [30.0, 60.0]], np.float32)  # eigenvalues 90 and 30

    def loss(x):
        return x[:2] @ jnp.dot(curvatures, x[:2], precision="highest") / 2 + 1e-5 * x[2] ** 2 / 2

    problem = flowsim.Problem.from_loss(loss, jnp.ones(3, np.float32))
    found = {}
    for on in (False, True):
        result = flowsim.simulate(problem, compensated=on, **options)
        assert result.solver.rejected > 50
        found[on] = abs(float(1 - result.parameters[2]) / -np.expm1(-50e-5) - 1)
    assert found[True] < 2e-3 < found[False]


def test_stabilized_stages_add_up_small_numbers():
    """Rounding of their recurrences grows like the square of the stages: in changes it is of the change."""
    curvatures = jnp.asarray(np.logspace(-4, 3, 8), np.float32)
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.ones(8, np.float32))
    true = np.exp(-100.0 * np.asarray(curvatures, float))
    errors = []
    for on in (False, True):
        result = flowsim.simulate(problem, t1=100.0, solver="stabilized4", rtol=1e-5, compensated=on)
        errors.append(np.linalg.norm(np.asarray(result.parameters, float) - true) / np.linalg.norm(true - 1))
    assert errors[1] < 1e-5
    assert errors[0] > 10 * errors[1], errors


def test_in_float64_too():
    """Below its last digit as in float32."""
    options = {"t1": 1.0, "solver": "euler", "step": 1e-3, "save_times": [0.0, 1.0]}
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(1e-14 * x), jnp.ones(1))
    assert flowsim.simulate(problem, **options).parameters[0] == 1.0
    moved = 1 - float(flowsim.simulate(problem, compensated=True, **options).parameters[0])
    assert moved == pytest.approx(1e-14, abs=1.2e-16)


def test_rows_are_continuous():
    """Read inside steps, at their ends, and where events are."""
    times = np.linspace(0.0, 4.0, 400)
    result = flowsim.simulate(
        logistic(), t1=4.0, solver="lean5", rtol=1e-5, save_times=times, probes={"x": lambda x: x}
    )
    np.testing.assert_allclose(result.trajectory.values["x"], exact(times[:, None]), rtol=3e-5)  # of the method
    half = flowsim.events.crossing("half", lambda t, x: x[0] - 0.5, direction="up")
    seen = flowsim.simulate(logistic(), t1=4.0, solver="dop853", rtol=1e-5, events=[half])
    assert seen.events["half"].time == pytest.approx(np.log(1 / float(STARTS[0]) - 1), abs=1e-5)


@pytest.mark.parametrize("kind", ["heun", "lean4"])
def test_an_interrupted_run_ends_with_the_same_bits(kind, tmp_path):
    """What is carried along is in the checkpoint."""
    options = {"t1": 200.0, "solver": kind, "step": 0.01, "save_times": np.linspace(0, 200.0, 1500)}
    count = itertools.count()

    def stop(chunk):
        if next(count) == 2:
            raise KeyboardInterrupt

    whole = flowsim.simulate(stiff_and_slow(), **options)
    halted = flowsim.simulate(stiff_and_slow(), folder=tmp_path / "run", progress=stop, **options)
    assert halted.status.kind == "interrupted"
    assert np.any(np.asarray(halted.carry.solver.low.flow))
    resumed = flowsim.simulate(stiff_and_slow(), folder=tmp_path / "run", **options)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    np.testing.assert_array_equal(resumed.carry.solver.low.flow, whole.carry.solver.low.flow)
    assert flowsim.load(tmp_path / "run").summary.solver.compensated


def test_a_longer_run_takes_the_same_steps():
    options = {"solver": "tsit5", "rtol": 1e-5, "save_times": [0.0, 1.0]}
    short = flowsim.simulate(logistic(), t1=1.0, **options)
    long = flowsim.simulate(logistic(), t1=4.0, **(options | {"save_times": [0.0, 1.0, 4.0]}))
    np.testing.assert_array_equal(short.extend(t1=4.0, save_times=[4.0]).parameters, long.parameters)


def test_members_that_step_together():
    """Each has its own low part."""
    starts = np.linspace(1.0, 2.0, 5, dtype=np.float32)
    curvature = jnp.asarray(SLOW, np.float32)

    def make(start):
        return flowsim.Problem.from_loss(lambda x: curvature * jnp.sum(x**2) / 2, start[None])

    options = {
        "t1": 200.0, "solver": "heun", "step": 0.01, "save_times": [0.0, 200.0], "probes": {"x": lambda x: x[0]}
    }  # fmt: skip
    result = ensemble.simulate(make, starts, **options)
    for member, begun in zip(result.members, starts, strict=True):
        moved = float(begun - member.trajectory.values["x"][-1])
        assert moved == pytest.approx(-float(begun) * np.expm1(-200 * SLOW), rel=2e-3)
        assert member.solver.compensated
    stands = ensemble.simulate(make, starts, compensated=False, **options)
    np.testing.assert_array_equal([member.trajectory.values["x"][-1] for member in stands.members], starts)


def test_on_in_float32_and_off_in_float64():
    for dtype, on in ((np.float32, True), (np.float64, False)):
        prepared = prepare(logistic(STARTS.astype(dtype)), Settings(4.0))
        methods = [prepared.plan.method, *prepared.stiff]
        assert [method.compensated for method in methods] == [on and m.kind != "exponential" for m in methods]
        assert second(prepared).plan.method.compensated is on
    asked = prepare(logistic(STARTS.astype(np.float64)), Settings(4.0, "tsit5", compensated=True))
    assert asked.plan.method.compensated
    assert second(asked).plan.method.compensated
    assert not prepare(logistic(), Settings(4.0, "exponential")).plan.method.compensated
    assert second(prepare(logistic(), Settings(4.0, "exponential"))).plan.method.compensated


@pytest.mark.parametrize("kind", ["exponential", "stabilized"])
def test_back_from_a_method_for_stiff_flows(kind):
    """Each method has a memory of its own, and not every one has a low part."""
    methods = prepare(stiff_and_slow(), Settings(4.0)).methods
    old = methods.named(kind)
    carry = start(old)
    measured = dataclasses.replace(carry.choice, pace=jnp.asarray([600.0, np.inf, np.inf], carry.step.dtype))
    plan, after = give_up(methods, old, dataclasses.replace(carry, choice=measured))
    assert plan is methods.explicit
    np.testing.assert_array_equal(after.solver.low.flow, np.zeros(2))


def test_a_certified_run_is_within_its_bound():
    result = flowsim.simulate(logistic(), t1=4.0, solver="tsit5", rtol=1e-5, certificate=True)
    assert error(result) <= result.certificate.relative_error < 1e-3
    assert result.energy_identity < 1e-4


@pytest.mark.parametrize("kind", [kind for kind in BY_KIND if kind not in COMPENSABLE])
def test_refused_where_a_step_is_no_sum_of_slopes(kind):
    with pytest.raises(ValueError, match=f"explicit or stabilized, and {kind} is none: leave out compensated"):
        flowsim.simulate(logistic(), t1=1.0, solver=kind, compensated=True)
    with pytest.raises(ValueError, match="leave out compensated"):
        solvers.make(kind, rtol=1e-5, atol=1e-7, dtype=jnp.float32, compensated=True)
    with pytest.raises(ValueError, match="leave out compensated"):
        solvers.of_diffrax("mine", diffrax.Kvaerno3(), rtol=1e-5, atol=1e-7, dtype=jnp.float32, compensated=True)


def test_a_diffrax_solver_of_a_users():
    method = solvers.of_diffrax("mine", diffrax.Tsit5(), rtol=1e-5, atol=1e-7, dtype=jnp.float32, compensated=True)
    assert prepare(logistic(), Settings(4.0), method=lambda dtype: method).plan.method.compensated


def test_the_adjoint_is_of_the_same_coefficients():
    plain, other = (
        solvers.tableau(solvers.make("tsit5", rtol=1e-5, atol=1e-7, dtype=jnp.float32, compensated=on), np.float64)
        for on in (False, True)
    )
    np.testing.assert_array_equal(plain.a, other.a)


def numbers_held(solver, size, on):
    """Copies of the parameters that a compiled chunk of steps holds, as in `test_lean`."""
    curvatures = jnp.linspace(0.5, 1.0, size)
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.ones(size))
    plan = prepare(problem, Settings(1.0, solver, compensated=on), save_times=[0.0, 1.0]).plan
    memory = lowered(plan, start(plan), jnp.asarray(10)).compile().compiled.memory_analysis()
    sizes = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return (sizes - memory.alias_size_in_bytes) / (8 * size) - 1, plan.method.states


@pytest.mark.slow
def test_one_copy_more_in_place():
    (plain, planned), (held, more) = (numbers_held("lean4", 100_000, on) for on in (False, True))
    assert held - plain <= 1.1
    assert more == planned + 1


def test_programs_are_shared():
    """Two methods with the same numbers are the same to `jit`."""
    options = {"rtol": 1e-5, "atol": 1e-7, "dtype": jnp.float32, "compensated": True}
    one, other = (solvers.make("stabilized", **options) for _ in range(2))
    assert jax.tree.structure(one) == jax.tree.structure(other)
