"""Events as a trusted component: nothing missed, doubled, out of order, or late."""

import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.events import judge

import flowsim
from flowsim.events import all_of, crossing
from flowsim.events.exclude import COARSE_POINTS, may_cross
from flowsim.events.scan import search

from .problems import reference


def decay():
    """x(t) = exp(-t)."""
    return flowsim.Problem.from_loss(lambda p: p["x"] ** 2 / 2, {"x": 1.0})


def run(*events, t1=10.0, **options):
    options = {"rtol": 1e-10, "atol": 1e-12, "save_times": [0.0, t1], **options}
    return flowsim.simulate(decay(), t1=t1, events=events, **options)


@pytest.mark.slow
def test_random_problems_with_known_answers():
    """The small version of `benchmarks/events.py`, which does 500."""
    for seed in range(12):
        missed, extra, disordered, error = judge(1000 + seed)
        assert (missed, extra, disordered) == (0, 0, 0), seed
        assert error < 1e-10, seed


def test_time_is_the_flows_not_the_interpolants():
    result = run(crossing("half", lambda t, p: p["x"] - 0.5), solver="tsit5")
    assert abs(result.events["half"].time - np.log(2)) < 1e-10


def test_double_crossing_inside_one_step_is_found():
    """Fixed steps of 2: both roots of (t - 4.5)(t - 4.500001) lie deep inside one of them."""
    event = crossing("graze", lambda t, p: (t - 4.5) * (t - 4.500001))
    result = run(event, solver="dopri8", step=2.0)
    np.testing.assert_allclose(result.events["graze"].times, [4.5, 4.500001], rtol=1e-10)
    assert [c.direction for c in result.events["graze"].crossings] == [-1, 1]


@pytest.mark.slow
def test_fast_oscillation_is_resolved_or_said_not_to_be():
    """700 crossings, most of them dozens to a step."""
    result = run(crossing("fast", lambda t, p: jnp.sin(70 * np.pi * t + 0.3)), solver="dopri8", step=1.0)
    expected = (np.arange(1, 701) * np.pi - 0.3) / (70 * np.pi)
    np.testing.assert_allclose(result.events["fast"].times, expected, rtol=1e-9)
    assert all(c.resolved for c in result.events["fast"].crossings)


def test_numbers_of_any_kind_are_crossed_where_they_are():
    """Not finite at the start or for a while, roots of high order, 130 orders of magnitude in a step, 0 for a while."""
    expected = {
        "log": (lambda t, p: jnp.log(t) + 5, [np.exp(-5)]),
        "pole": (lambda t, p: 1 / t - 100.0, [0.01]),
        "never": (lambda t, p: jnp.log(-1 - t), []),
        "late": (lambda t, p: jnp.log(t - 1.5), [2.5]),
        "cube": (lambda t, p: (t - 1.1) ** 3, [1.1]),
        "ninth": (lambda t, p: (p["x"] - 0.5) ** 9, [np.log(2)]),
        "steep": (lambda t, p: jnp.exp(100 * (t - 1)) - 1, [1.0]),
        "flat": (lambda t, p: jnp.maximum(t - 1.0, 0.0), [1.0]),
        "flat square": (lambda t, p: jnp.maximum(t - 2.0, 0.0) ** 2, [2.0]),
        "fifth": (lambda t, p: t**5, [0.0]),
    }
    events = [crossing(name, f, direction="both") for name, (f, _) in expected.items()]
    found = run(*events, t1=3.0, solver="dopri8", certificate=False).events
    for name, (_, times) in expected.items():
        np.testing.assert_allclose(found[name].times, times, rtol=1e-7, atol=1e-12, err_msg=name)
    never = crossing("down", lambda t, p: jnp.exp(100 * (t - 1)) - 1, direction="down", terminal=True)
    assert run(never, t1=3.0, solver="dopri8").status.kind == "done"


def test_order_of_report_is_order_of_time():
    late, early = crossing("late", lambda t, p: t - 3.1), crossing("early", lambda t, p: t - 3.0)
    assert list(run(late, early).events) == ["early", "late"]
    stopped = run(
        crossing("late", lambda t, p: t - 3.1, terminal=True), crossing("early", lambda t, p: t - 3.0, terminal=True)
    )
    assert stopped.status.kind == "event"
    assert stopped.events["late"].time is None
    np.testing.assert_allclose(stopped.status.time, 3.0)


def test_directions():
    def wave(t, p):
        return jnp.sin(t)

    result = run(*(crossing(d, wave, direction=d) for d in ("up", "down", "both")))
    np.testing.assert_allclose(result.events["up"].times, [0.0, 2 * np.pi], atol=1e-10)
    np.testing.assert_allclose(result.events["down"].times, [np.pi, 3 * np.pi], atol=1e-10)
    assert len(result.events["both"].times) == 4


def test_an_exact_zero_at_the_start_is_left_once():
    result = run(crossing("start", lambda t, p: t * (t - 5)), crossing("never leaves", lambda t, p: 0 * t))
    np.testing.assert_allclose(result.events["start"].times, [0.0, 5.0], atol=1e-10)
    assert result.events["never leaves"].times == []


def test_never_is_an_explicit_result():
    record = run(crossing("never", lambda t, p: p["x"] - 2)).events["never"]
    assert record.time is None
    assert record.times == []


def test_terminal_event_stops_at_its_time():
    result = run(crossing("half", lambda t, p: p["x"] - 0.5, terminal=True), save_times=np.linspace(0, 10, 50))
    assert result.status.kind == "event"
    assert result.status.ok
    np.testing.assert_allclose(result.status.time, np.log(2), rtol=1e-10)
    np.testing.assert_allclose(result.parameters["x"], 0.5, rtol=1e-12)
    assert result.trajectory.time[-1] == result.status.time
    assert np.all(np.diff(result.trajectory.time) > 0)
    np.testing.assert_allclose(result.final["loss"], 0.125, rtol=1e-10)


@pytest.mark.thorough
@pytest.mark.parametrize("level", [2.0, 0.3, 7.7])
def test_a_save_time_at_a_terminal_event_gets_one_row(level):
    """Also where the two differ by rounding."""
    result = run(crossing("stop", lambda t, p: t - level, terminal=True), save_times=[0.0, 0.1, level, 10.0])
    assert result.status.kind == "event"
    np.testing.assert_allclose(result.trajectory.time, [0.0, 0.1, level], rtol=1e-9)
    assert len(result.trajectory.values["loss"]) == 3


def test_the_slope_of_a_crossing_is_the_events_rate():
    record = run(crossing("half", lambda t, p: p["x"] - 0.5), crossing("late", lambda t, p: 3 * t - 9)).events
    np.testing.assert_allclose(record["half"].crossings[0].slope, -0.5, rtol=1e-5)
    np.testing.assert_allclose(record["late"].crossings[0].slope, 3.0, rtol=1e-5)


def _falling(t, p):
    return 4.0 - t


def _rising(t, p):
    return t - 1.0


def test_compound_conditions():
    first = crossing("first", lambda t, p: t - 2.0, direction="up")
    second = all_of("second", *(crossing(n, f, direction="up") for n, f in (("a", _falling), ("b", _rising))))
    both = all_of("both", first, second)
    result = run(both)
    np.testing.assert_allclose(result.events["both"].times, [2.0], rtol=1e-10)
    with pytest.raises(ValueError, match="direction 'up'"):
        all_of("no", crossing("down", lambda t, p: t, direction="down"))


@pytest.mark.slow
def test_standard_events_mean_what_they_say():
    problem, _ = reference()
    e = flowsim.events
    wanted = [e.margin_reached(1.0), e.mlp_aligned(1.0), e.attention_moves(0.01), e.loss_below(0.2)]
    wanted += [e.gradient_below(0.1), e.common_word_turns()]
    result = flowsim.simulate(problem, t1=50.0, rtol=1e-10, atol=1e-12, events=wanted)

    def at(name):
        time = result.events[name].time
        assert time is not None, name
        return flowsim.simulate(problem, t1=time, rtol=1e-10, atol=1e-12, save_times=[0.0, time], reduction="none")

    np.testing.assert_allclose(at("margin_reached").final["min_margin"], 1.0, rtol=1e-8)
    np.testing.assert_allclose(at("loss_below").final["loss"], 0.2, rtol=1e-8)
    np.testing.assert_allclose(at("gradient_below").final["gradient_norm"], 0.1, rtol=1e-8)
    alignment = at("mlp_aligned").trajectory.values["mlp_alignment"][-1] * [1, 1, -1]
    np.testing.assert_allclose(alignment.min(), 1.0, rtol=1e-8)


def quiet(**events):
    """A run of `x' = -x` from 1 to t = 10 with these functions as events, and what it saw of each."""
    watched = [crossing(name, function) for name, function in events.items()]
    result = run(*watched, solver="tsit5", rtol=1e-8, atol=1e-10)
    return result, {name: result.events[name].times for name in events}


def test_two_or_three_steps_of_the_solver_time_a_crossing():
    result, times = quiet(half=lambda t, p: p["x"] - 0.5, tenth=lambda t, p: p["x"] - 0.1)
    np.testing.assert_allclose(times["half"] + times["tenth"], [np.log(2), np.log(10)], rtol=3e-9)
    step = 7  # gradients, of a step that trusts no stored slope
    assert result.solver.event_evaluations <= 2 * 4 * step


@pytest.mark.slow
def test_functions_that_jump_are_timed():
    """An accuracy, a sign, a floor: never smooth, and the same over whole steps."""
    _, times = quiet(
        sign=lambda t, p: jnp.sign(p["x"] - 0.5),
        floor=lambda t, p: jnp.floor(3 * p["x"]) - 0.5,
        accuracy=lambda t, p: jnp.mean(jnp.linspace(0.1, 0.9, 9) > p["x"]) - 0.5,
    )
    for name, level in (("sign", 0.5), ("floor", 1 / 3), ("accuracy", 0.5)):
        np.testing.assert_allclose(times[name], [-np.log(level)], rtol=1e-8, err_msg=name)


def test_a_jump_is_the_flows_not_the_interpolants():
    """At a loose tolerance the dense output crosses elsewhere than the flow does: both events are timed on the flow."""
    result = run(
        crossing("jumps", lambda t, p: jnp.sign(p["x"] - 0.5)), crossing("smooth", lambda t, p: p["x"] - 0.5),
        solver="tsit5", rtol=1e-3, atol=1e-5,
    )  # fmt: skip
    np.testing.assert_allclose(result.events["jumps"].times, result.events["smooth"].times, rtol=1e-12)


def test_a_rest_at_zero_is_left_with_the_sign_before_it():
    """Steps end while the events are exactly 0: going back is no crossing, going on is one."""
    result = run(
        crossing("back", lambda t, p: jnp.where(jnp.abs(t - 4.5) < 1.6, 0.0, 1.0)),
        crossing("on", lambda t, p: jnp.where(jnp.abs(t - 4.5) < 1.6, 0.0, t - 4.5)),
        solver="dopri8", step=1.0,
    )  # fmt: skip
    assert result.events["back"].times == []
    np.testing.assert_allclose(result.events["on"].times, [6.1], rtol=1e-9)


def test_what_its_polynomial_leaves_out_excludes_no_crossing():
    """Functions that dip below 0 by 1e-9 of their size, where five points see them stay above."""
    fine = np.linspace(0, 1, 100_001)
    for kappa in (3.0, 5.0, 7.0):
        for place in np.linspace(0.1, 0.9, 17):

            def value(x, kappa=kappa, place=place):
                return np.cosh(kappa * (x - place)) + 0.3 * np.sin(2 * kappa * x)

            least = np.min(value(fine))
            values = jnp.asarray(value(COARSE_POINTS) - least - 1e-9)[:, None]
            assert may_cross(values, jnp.asarray(1)), (kappa, place)


def test_below_what_rounding_leaves_a_sign_means_nothing():
    """A touch whose least value is -1e-17, of a function that is known to 1e-16; a dip of 1e-12 is two crossings."""
    for depth, crossings in ((1e-17, 0), (1e-12, 2)):

        def sample(low, high, points, depth=depth):
            return ((low + (high - low) * np.asarray(points) - 0.5) ** 2 - depth)[:, None]

        assert len(search(sample, np.array([1e-16]), 2.2e-16, 1).candidates) == crossings


@pytest.mark.slow
def test_what_is_no_crossing_fires_nothing():
    """A triple root is one crossing; a touch, a pole and noise are none."""
    result, times = quiet(
        triple=lambda t, p: (t - 1) ** 3,
        touch=lambda t, p: (t - 1) ** 2,
        pole=lambda t, p: 1 / (p["x"] - 0.5),
        noise=lambda t, p: jnp.sin(1e9 * t) + 0.1,
    )
    np.testing.assert_allclose(times["triple"], [1.0], rtol=1e-9)
    assert times["touch"] == times["pole"] == times["noise"] == []
    assert result.status.kind == "done"


def test_what_converges_to_zero_does_not_cross_it_for_ever():
    """Past convergence x is the solver's own error, of either sign; its distance to 1e-7 is well known."""
    events = (crossing("residual", lambda t, p: p["x"]), crossing("small", lambda t, p: p["x"] - 1e-7))
    result = run(*events, solver="tsit5", rtol=1e-8, atol=1e-10, t1=300.0)
    assert result.events["residual"].times == []
    np.testing.assert_allclose(result.events["small"].times, [7 * np.log(10)], rtol=1e-3)
    assert result.solver.event_evaluations < 100


@pytest.mark.slow
def test_float32_costs_what_float64_costs():
    spent = []
    for dtype in (jnp.float32, jnp.float64):
        problem = flowsim.Problem.from_loss(lambda p: p["x"] ** 2 / 2, {"x": jnp.asarray(1.0, dtype)})
        events = [crossing("half", lambda t, p: p["x"] - 0.5), crossing("t", lambda t, p: t - 3.1)]
        result = flowsim.simulate(
            problem, t1=10.0, solver="tsit5", rtol=1e-5, atol=1e-7, events=events, save_times=[0.0, 10.0]
        )
        np.testing.assert_allclose([result.events[e.name].time for e in events], [np.log(2), 3.1], rtol=1e-5)
        assert all(c.refined and c.resolved for e in events for c in result.events[e.name].crossings)
        spent.append(result.solver.event_evaluations)
    assert spent[0] <= 1.5 * spent[1]


def test_events_at_the_very_end():
    """Arriving at 0 at t1, on the way through, is a crossing at t1; touching 0 there is none."""
    result, times = quiet(arrives=lambda t, p: t - 10.0, touches=lambda t, p: (t - 10.0) ** 2)
    assert times == {"arrives": [10.0], "touches": []}
    assert result.status.kind == "done"
    stopped = run(crossing("arrives", lambda t, p: t - 10.0, terminal=True), solver="tsit5")
    assert (stopped.status.kind, stopped.status.time) == ("event", 10.0)


def test_events_at_the_instant_of_a_terminal_one_are_kept():
    same = {name: crossing(name, lambda t, p: p["x"] - 0.5, terminal=name == "stop") for name in ("a", "stop", "z")}
    result = run(*same.values(), crossing("later", lambda t, p: p["x"] - 0.4999), solver="tsit5")
    assert result.status.message.endswith("stop")
    assert result.events["a"].times == result.events["stop"].times == result.events["z"].times == [result.status.time]
    assert result.events["later"].times == []


@pytest.mark.slow
def test_names_of_events_probes_and_losses_are_enough():
    problem, _ = reference()
    named = flowsim.Problem(problem.model(problem.parameters), problem.task, loss="logistic")
    by_name = flowsim.simulate(named, t1=5.0, events=["phase1_end"], probes=["margins"], solver="tsit5")
    given = [flowsim.events.phase1_end()], [flowsim.probes.margins()]
    whole = flowsim.simulate(problem, t1=5.0, events=given[0], probes=given[1], solver="tsit5")
    assert by_name.events["phase1_end"].time == whole.events["phase1_end"].time
    np.testing.assert_array_equal(by_name.trajectory.values["margin"], whole.trajectory.values["margin"])


def test_four_values_exclude_no_crossing_of_a_cubic_and_most_steps_without_one():
    from flowsim.events import COARSE_POINTS, FEW_POINTS, is_far

    rng, points = np.random.default_rng(0), COARSE_POINTS[list(FEW_POINTS)]
    cleared = 0
    for _ in range(300):
        roots = np.array([rng.uniform(0, 1), *rng.uniform(-3, 4, 2)])
        crossing = np.prod(points[:, None] - roots, axis=1)
        start = jnp.asarray(np.sign(crossing[0]), jnp.int32)
        assert not is_far(jnp.asarray(crossing[:, None]), start)
        away = 5.0 + np.prod(points[:, None] - roots, axis=1) / 10
        cleared += bool(is_far(jnp.asarray(away[:, None]), jnp.ones((), jnp.int32)))
        assert not is_far(jnp.asarray(away[:, None]), -jnp.ones((), jnp.int32))
    assert cleared > 250
