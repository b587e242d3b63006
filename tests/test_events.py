"""Events as a trusted component: nothing missed, doubled, out of order, or late."""

import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.events import judge

import flowsim
from flowsim.events import all_of, crossing

from .problems import reference


def decay():
    """x(t) = exp(-t)."""
    return flowsim.Problem.from_loss(lambda p: p["x"] ** 2 / 2, {"x": 1.0})


def run(*events, t1=10.0, **options):
    options = {"rtol": 1e-10, "atol": 1e-12, "save_times": [0.0, t1], **options}
    return flowsim.simulate(decay(), t1=t1, events=events, **options)


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


def test_fast_oscillation_is_resolved_or_said_not_to_be():
    """700 crossings, most of them dozens to a step."""
    result = run(crossing("fast", lambda t, p: jnp.sin(70 * np.pi * t + 0.3)), solver="dopri8", step=1.0)
    expected = (np.arange(1, 701) * np.pi - 0.3) / (70 * np.pi)
    np.testing.assert_allclose(result.events["fast"].times, expected, rtol=1e-9)
    assert all(c.resolved for c in result.events["fast"].crossings)


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
