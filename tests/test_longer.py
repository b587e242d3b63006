"""Longer and tighter: extended runs, runs that start where others ended, and errors that are asked for."""

import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import flows
from flowsim.simulation import TimeLimit, prepare, run

TOL = {"rtol": 1e-9, "atol": 1e-11}


@functools.cache  # one function, one set of programs
def problem(scale=1.0):
    """A curved bowl whose flow has no closed form."""
    start = {"x": jnp.array([0.8, -0.3]), "y": jnp.array(0.7)}

    def risk(p):
        return jnp.sum((p["x"] * p["y"] - jnp.array([scale, 0.2])) ** 2) / 2

    return flowsim.Problem.from_loss(risk, start)


@functools.cache
def words():
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=9, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=9, width=12, neurons=8, key=jax.random.key(1))
    return flowsim.Problem(flowsim.init.gaussian(sigma0=0.3, sigma1=0.3)(model, key=jax.random.key(2)), task)


@functools.cache
def falls(level):
    return flowsim.events.crossing("falls", lambda t, p: p["y"] - level, direction="both")


def same(x, y):
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_extended_run_is_one_run_to_the_last_bit():
    times = np.geomspace(1e-2, 20.0, 30)
    events = [falls(0.75)]
    options = {**TOL, "solver": "dopri8"}  # `auto` looks for stiffness by what is still to come
    short = flowsim.simulate(problem(), t1=5.0, save_times=times[times < 5], events=events, **options)
    long = short.extend(t1=20.0, save_times=times[times > 5])
    once = flowsim.simulate(
        problem(), t1=20.0, save_times=np.unique([*times[times < 5], 5.0, *times[times > 5]]), events=events, **options
    )
    same(long.parameters, once.parameters)
    same(long.trajectory.values, once.trajectory.values)
    same(long.trajectory.time, once.trajectory.time)
    assert long.crossings == once.crossings
    counts = ("steps", "rejected", "vector_field_evaluations", "event_evaluations")
    assert [getattr(long.solver, n) for n in counts] == [getattr(once.solver, n) for n in counts]
    assert long.solver.steps > short.solver.steps
    assert float(short.dataset.time[-1]) == 5.0  # the shorter one is as it was


def test_a_run_that_turns_out_long_changes_its_program_at_the_same_step(monkeypatch):
    """Wherever its chunks end: the last bits of the programs may differ."""
    module = sys.modules["flowsim.simulation.advance"]
    well, began = module._advance_well, []
    monkeypatch.setattr(module, "_MOST", 250)
    monkeypatch.setattr(module, "_advance_well", lambda p, c, n: began.append(int(c.evaluations)) or well(p, c, n))
    own = flowsim.Problem.from_loss(
        lambda p: jnp.sum((p[0] * p[1] - 0.3) ** 2) / 2, jnp.array([[0.8, -0.3], [0.7, 0.2]])
    )
    options = {**TOL, "solver": "tsit5", "certificate": False}
    once = flowsim.simulate(own, t1=20.0, save_times=[1.0, 20.0], **options)
    change = began[0]
    assert 250 <= change < 260  # a step is seven
    began.clear()
    short = flowsim.simulate(own, t1=1.0, save_times=[1.0], **options)
    assert not began
    long = short.extend(t1=20.0, save_times=[20.0])
    assert began[0] == change
    same(long.parameters, once.parameters)


def test_an_extended_run_takes_one_step_again():
    short = flowsim.simulate(problem(), t1=5.0, **TOL)
    chunks = []
    long = short.extend(t1=5.5, progress=chunks.append)
    assert sum(1 for _ in chunks) <= 3
    assert int(short.history.last.carry.steps) == short.solver.steps - 1
    assert long.dataset.time[-1] == 5.5


@pytest.mark.thorough
@pytest.mark.parametrize("flow", [None, flows.momentum(friction=0.5), flows.adam(first=1.0, second=1.0)])
def test_a_run_that_starts_at_anothers_end(flow):
    """Half and half is the whole, with what the flow remembers, and on its clock."""
    half = flowsim.simulate(problem(), t1=2.0, flow=flow, **TOL)
    rest = flowsim.simulate(problem(), t0=2.0, t1=4.0, flow=flow, start=half, **TOL)
    whole = flowsim.simulate(problem(), t1=4.0, flow=flow, **TOL)
    for a, b in zip(jax.tree.leaves(rest.parameters), jax.tree.leaves(whole.parameters), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    assert rest.dataset.time[0] == 2.0
    assert rest.energy_identity < 1e-6


@pytest.mark.slow
def test_momentum_is_lifted_from_a_reduction():
    flow = flows.momentum(friction=0.5)
    half = flowsim.simulate(words(), t1=1.0, flow=flow, **TOL)
    assert half.prepared.reduction.lift is not None
    rest = flowsim.simulate(words(), t0=1.0, t1=2.0, flow=flow, start=half, **TOL)
    whole = flowsim.simulate(words(), t1=2.0, flow=flow, **TOL)
    np.testing.assert_allclose(rest.final["loss"], whole.final["loss"], rtol=1e-7)


def test_another_problem_from_there():
    half = flowsim.simulate(problem(), t1=2.0, **TOL)
    other = flowsim.simulate(problem(scale=0.5), t1=1.0, start=half, **TOL)
    assert other.trajectory.values["loss"][0] != half.trajectory.values["loss"][-1]
    model = flowsim.models.CooccurrenceTransformer(vocabulary=9, width=8, neurons=8, key=jax.random.key(1))
    with pytest.raises(ValueError, match="names and shapes"):
        flowsim.simulate(flowsim.Problem(model, words().task), t1=1.0, start=half)


def test_refusals():
    short = flowsim.simulate(problem(), t1=2.0, **TOL)
    with pytest.raises(ValueError, match="later than"):
        short.extend(t1=1.0)
    stopped = flowsim.simulate(
        problem(), t1=20.0, events=[flowsim.events.crossing("half", lambda t, p: t - 1.0, terminal=True)], **TOL
    )
    with pytest.raises(ValueError, match="start=result"):
        stopped.extend(t1=30.0)
    with pytest.raises(ValueError, match="t0 = 3"):
        flowsim.simulate(problem(), t0=3.0, t1=2.0)


@pytest.mark.slow
def test_the_error_that_is_asked_for():
    loose = flowsim.simulate(problem(), t1=5.0, rtol=1e-5, atol=1e-7)
    assert loose.certificate.relative_error > 1e-9
    result = flowsim.simulate(problem(), t1=5.0, rtol=1e-5, atol=1e-7, target_error=1e-9)
    assert result.certificate.relative_error <= 1e-9
    assert result.solver.rtol < 1e-5
    true = flowsim.simulate(problem(), t1=5.0, rtol=1e-13, atol=1e-15).parameters["x"]
    np.testing.assert_allclose(result.parameters["x"], true, rtol=1e-8)


def test_below_rounding_it_says_so():
    result = flowsim.simulate(problem(), t1=5.0, target_error=1e-17)
    assert result.status.ok
    assert any("1e-17 was not reached" in text and "rounding" in text for text in result.certificate.warnings)
    with pytest.raises(ValueError, match="target_error"):
        flowsim.simulate(problem(), t1=5.0, target_error=0.0)


def test_a_time_limit_keeps_what_was_reached():
    limit = TimeLimit(1e-9)
    prepared = prepare(problem(), flowsim.simulation.Settings(5.0, max_steps=10_000))
    history = run(prepared, limit)
    assert history.status is not None
    result = flowsim.simulate(problem(), t1=5.0, max_seconds=1e-9, **TOL)
    assert result.status.kind in ("interrupted", "done")
    if result.status.kind == "interrupted":
        whole = flowsim.simulate(problem(), t1=5.0, **TOL)
        same(result.extend(t1=6.0).trajectory.time[:10], whole.trajectory.time[:10])


def test_ctrl_c_keeps_what_was_reached():
    count = itertools.count()

    def stop(chunk):
        if next(count) == 1:
            raise KeyboardInterrupt

    times = np.linspace(0, 50, 1000)  # several chunks of rows
    result = flowsim.simulate(problem(), t1=50.0, save_times=times, progress=stop, certificate=True, **TOL)
    assert result.status.kind == "interrupted"
    assert 0 < result.status.time < 50
    assert len(result.dataset.time) > 2
    whole = flowsim.simulate(problem(), t1=50.0, save_times=times, **TOL)
    found = whole.trajectory.values["loss"][: len(result.trajectory.time) - 1]
    np.testing.assert_array_equal(result.trajectory.values["loss"][:-1], found)


def test_one_loop():
    """`simulation/run.py` is the only caller of a march."""
    import pathlib

    root = pathlib.Path(flowsim.__file__).parent
    callers = [path for path in root.rglob("*.py") if ".march(" in path.read_text(encoding="utf8")]
    assert [path.relative_to(root).as_posix() for path in callers] == ["simulation/run.py"]
    stepping = [p for p in root.rglob("*.py") if "advance(march" in p.read_text(encoding="utf8").replace("\n", "")]
    assert [path.relative_to(root).as_posix() for path in stepping] == ["simulation/run.py"]


@pytest.mark.slow
def test_bands_do_not_depend_on_the_order_of_reading():
    result = flowsim.simulate(problem(), t1=2.0, events=[falls(0.75)], **TOL)
    assert "loss_error" not in result.dataset
    certificate = result.certificate
    assert "loss_error" in result.dataset
    assert result.events["falls"].uncertainty == certificate.event_errors["falls"]
    with pytest.raises(AttributeError):
        result.status = None
    other = flowsim.simulate(problem(), t1=2.0, events=[falls(0.75)], **TOL).certified(certificate)
    assert "loss_error" in other.dataset


def test_every_solver_names_its_certifier():
    from flowsim.solver_names import BY_KIND, SOLVERS

    for info in SOLVERS:
        assert info.certified_by in BY_KIND, info.kind
        assert info.certified_by != info.kind
        assert info.certified_tighter >= 1
    assert set(flowsim.solvers.kinds()) == set(BY_KIND)


def test_a_flow_that_does_not_move_is_exact():
    flat = flowsim.Problem.from_loss(lambda p: 0.0 * jnp.sum(p), jnp.ones(3))
    result = flowsim.simulate(flat, t1=1.0, certificate=True)
    assert result.certificate.relative_error == 0.0
    kept = flowsim.simulate(problem(), t1=2.0, flow=flows.momentum(friction=0.0), **TOL)
    assert kept.energy_identity < 1e-7


def test_records_print_in_a_few_lines():
    result = flowsim.simulate(problem(), t1=2.0, events=[falls(0.75)], **TOL)
    assert len(repr(result)) < 3000
    assert repr(result).count("\n") < 12
    assert "array" not in repr(result)
    assert "not computed" in repr(result)
    certificate = result.certificate
    assert f"{certificate.relative_error:.1e}" in repr(result)
    page = result._repr_html_()
    assert "<table>" in page
    assert "<polyline" in page
    assert len(repr(certificate)) < 1500
    assert "<table>" in certificate._repr_html_()
    assert repr(result.events["falls"]).startswith("EventRecord(falls: ")


LINEAR = """name: linear
task: {kind: regression, samples: 8, features: 3, outputs: 2}
model: {kind: deep_linear, hidden: [3]}
flow: {kind: gradient, t1: 2.0}
solver: dopri8
save: {times: [0.5, 2.0]}
certificate: false
figures: []
"""


@pytest.mark.slow
def test_a_run_folder_goes_on_to_a_later_end(tmp_path):
    """`flowsim run --resume DIR flow.t1=5.0`: the same numbers as one run to the later end, what was saved stays."""
    from flowsim.config import Source, load_text
    from flowsim.experiment.lengthen import lengthen
    from flowsim.experiment.run import run_experiment
    from flowsim.store import StoreError

    def ran(experiment, folder, **options):
        return run_experiment(Source(experiment, LINEAR, tmp_path), folder, **options)

    def given(*overrides):
        return load_text(LINEAR, origin="e.yaml", overrides=overrides)

    folder, later = tmp_path / "short", ("flow.t1=5.0", "save.times=[0.5, 2.0, 4.0]")
    ran(given(), folder)
    before = flowsim.load(folder).dataset
    longer = ran(lengthen(given(*later), tmp_path, folder), folder, resume=True).run.result
    once = ran(given(*later), tmp_path / "whole").run.result
    same(longer.parameters, once.parameters)
    assert longer.solver.steps == once.solver.steps
    after = flowsim.load(folder).dataset
    np.testing.assert_array_equal(after.time, [0.0, 0.5, 2.0, 4.0, 5.0])
    np.testing.assert_array_equal(after.loss[:2], before.loss[:2])
    # The row at the old end is of the whole step now, which that end cut short.
    np.testing.assert_allclose(after.loss[2], before.loss[2], rtol=1e-6)
    with pytest.raises(StoreError, match="must be later"):
        lengthen(given("flow.t1=1.0", "save.times=[0.5]"), tmp_path, folder)


def test_a_clock_that_counts_is_not_set_back():
    """Adam's bias correction depends on the time: averages of a run's end belong to its end."""
    flow = flows.adam(first=0.3, second=1.0, epsilon=1e-2)
    problem = flowsim.Problem.from_loss(lambda p: p["x"] ** 2 / 2, {"x": 1.0})
    first = flowsim.simulate(problem, t1=1.0, flow=flow)
    with pytest.raises(ValueError, match="give t0=1"):
        flowsim.simulate(problem, t1=3.0, flow=flow, start=first)
    assert flowsim.simulate(problem, t1=2.0, t0=1.0, flow=flow, start=first).status.ok
    with pytest.raises(TypeError, match="start"):
        flowsim.simulate(problem, t1=3.0, start=3)
