"""Claims of a user's own that are wrong, or ask for what is not there: what hostile trials found."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import flowsim
from flowsim._files import RefusedError
from flowsim.certificate.bounds import value_bounds
from flowsim.claims import Evidence, Finding, Law, Measured, Point, Word, claim, fit, judge
from flowsim.claims.needs import events_of, probes_of
from flowsim.config.making import judging
from flowsim.records import Crossing


def made(measure, name="c", **more):
    return claim(id=name, statement="s", rule="r", **more)(measure)


def word(*conditions):
    return judge(Finding.of(*conditions).conditions)


def test_tolerances_fit_the_precision():
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) / 2, jnp.ones(2, jnp.float32))
    falls = made(lambda e: Finding.compare(e.value("loss", at=1.0), "<", e.value("loss", at=0.0)))
    assert flowsim.verify(problem, falls, t1=1.0)[0].word == Word.HOLDS


def test_two_claims_may_not_mean_different_things_by_one_name():
    """One of them was judged on the other's probe."""

    def first_entry(index=0):
        return made(lambda e: Finding({}), f"c{index}", probes={"x": lambda p: p["x"][index]})

    def half(direction, level=0.5):
        event = flowsim.events.crossing("half", lambda t, p: p["x"][0] - level, direction=direction)
        return made(lambda e: Finding({}), f"{direction} {level}", events=[event])

    with pytest.raises(ValueError, match="claim c0 and claim c1 have different probes named 'x'"):
        probes_of([first_entry(0), first_entry(1)])
    assert len(probes_of([first_entry(), first_entry()])) == 1
    for other in (half("up"), half("down", 0.25)):
        with pytest.raises(ValueError, match="different events named 'half'"):
            events_of([half("down"), other])
    stops = flowsim.events.crossing("half", lambda t, p: p["x"] - 0.5, direction="down", terminal=True)
    event = flowsim.events.crossing("half", lambda t, p: p["x"] - 0.5, direction="down")
    assert events_of([made(lambda e: Finding({}), events=[event])], [stops]) == [stops]
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum(p["x"] ** 2), {"x": jnp.ones(2)})
    with pytest.raises(ValueError, match="this run and claim c1 have different probes"):
        flowsim.verify(problem, first_entry(1), t1=1.0, probes={"x": lambda p: p["x"][0]})
    with pytest.raises(TypeError):
        flowsim.verify(problem, [lambda evidence: None], t1=1.0)


def test_a_claim_that_raises_is_told_with_its_line():
    """It was an unexpected error, after the run, without its place."""
    for measure, said in (
        (lambda evidence: 1 / 0, r"test_own_claims\.py:\d+:\d+ claim c: raised ZeroDivisionError: division by zero\."),
        (lambda evidence: None, r"claim c: .*must return a flowsim\.claims\.Finding"),
    ):
        with pytest.raises(RefusedError, match=said), judging(made(measure)):
            made(measure).verdict(None)


def test_what_holds_no_number_is_not_reached():
    empty = Measured(np.zeros(0)) < 1.0
    assert word(empty) == word(empty, Measured(0.0) < 1.0) == Word.NOT_REACHED
    assert word(empty, Measured(2.0) < 1.0) == Word.FAILS
    with pytest.raises(ValueError, match="no number"):
        bool(empty)
    assert "nothing that could fail" in made(lambda e: Finding({})).verdict(None).finding.reason


@pytest.mark.parametrize("part", [True, np.bool_(False), 1.0, None])
def test_only_comparisons_with_error_bounds_decide(part):
    """A comparison of plain values was dropped without a word."""
    with pytest.raises(TypeError, match="Measured numbers"):
        Finding.of(part)
    with pytest.raises(TypeError):
        Finding({}, (part,))


def test_exact_numbers_may_be_equal_and_unknown_ones_decide_nothing():
    three = Measured(3.0)
    assert word(three <= 3) == word(three >= 3) == word(three <= np.float64(4)) == Word.HOLDS
    assert word(three < 3) == word(three <= 2) == Word.FAILS
    assert word(Measured(3.0, 1e-9) <= 3) == Word.TOO_CLOSE
    assert word(Measured(1000.0, 999.0).exp() < 20.0) == Word.TOO_CLOSE  # e⁺¹ to e⁺¹⁹⁹⁹, and the latter is infinite
    with pytest.raises(TypeError, match="wanted a number"):
        Finding.compare(three, "<", "4")


def test_powers_and_logarithms_where_they_are_not_defined():
    for power in (-0.5, 0.5, -1.5):
        assert np.isinf((Measured(-4.0, 0.1) ** power).error)
    assert np.isinf(Measured(0.0, 0.1).log().error)
    found = Measured(0.0, 0.1) + Measured(0.0, 0.2) + Measured(0.0, 0.7)
    assert found.error > 1.0  # which the bounds' own rounding falls short of


def test_slopes_that_no_seed_has_are_not_reached():
    law = Law("l", "", "", lambda e: e, 1.0)
    across = [Point(1.0, 0, 1.0), Point(1.0, 1, 1.0), Point(2.0, 2, 2.0)]
    assert fit([law], "x", across)[0].verdict == Word.NOT_REACHED
    whole = [Point(v, s, v) for v in (1.0, 2.0) for s in (0, 1)]
    assert fit([law], "x", whole)[0].verdict == Word.HOLDS
    for prediction, why in ((lambda e: -1.0, "positive"), (lambda e: np.nan, "positive")):
        found = fit([Law("l", "", "", lambda e: e, prediction)], "x", whole)[0]
        assert (found.verdict, why in found.reason) == (Word.NOT_REACHED, True)


def test_values_between_saved_times_are_bounded():
    """A rise anywhere between two saved times is within the error; a time may have an error of its own."""
    evidence = object.__new__(Evidence)
    saved = {"x": ("time", [0.0, 1.0, 1.0]), "x_error": ("time", [0.0, 0.0, 0.0])}
    evidence.__dict__["dataset"] = xarray.Dataset(saved, {"time": [0.0, 1.0, 2.0]})
    for at in (0.1, 0.5, 0.9):
        found = evidence.value("x", at=at)
        assert found.low <= 0.0
        assert found.high >= 1.0
    assert evidence.value("x", at=Measured(1.0, 0.1)).low <= 0.0 < evidence.value("x", at=Measured(1.5, 0.1)).low
    assert np.shape(evidence.curve("x", Measured(0.5, 1e-9))[1].value) == (2,)
    for at in (-1.0, np.nan):
        with pytest.raises(flowsim.claims.NotReachedError, match="began at t = 0"):
            evidence.value("x", at=at)
    with pytest.raises(flowsim.claims.NotReachedError, match=r"saved between 0\.1 and 0\.2"):
        evidence.curve("x", 0.1, 0.2)


def test_numbers_at_crossings_are_bounded_by_the_distance_of_both_runs():
    def crossing(time, x, direction=1):
        return Crossing("e", time, direction, True, True, {"x": x, "all": np.zeros(2)})

    here = [crossing(1.0, 0.5), crossing(2.0, 0.7)]
    found = value_bounds({"e": here}, {"e": [crossing(1.0, 0.4)]})
    assert found["e"][0] == {"x": pytest.approx(0.8)}
    assert found["e"][1] == {"x": np.inf}


RATE, START = 30.0, 1e-6


@pytest.mark.slow
def test_values_in_a_steep_rise_are_bounded():
    """x rises like a sigmoid between two saved times: its error there is not that of either, at an event neither."""
    when, true = 0.5, 1 / (1 + (1 / START - 1) * np.exp(-RATE * 0.5))

    def loss(p):
        return RATE * (p["x"] ** 3 / 3 - p["x"] ** 2 / 2) + 0.5 * p["y"] ** 2

    event = flowsim.events.crossing("e", lambda t, p: p["y"] - jnp.exp(-when), direction="down")
    found = {}

    def measure(evidence):
        found["event"], found["time"] = evidence.value("x", at="e"), evidence.value("x", at=when)
        found["measured time"] = evidence.value("x", at=1.1 * evidence.time("e"))
        found["all"] = evidence.curve("x", 0.5 * evidence.time("e"))[1]
        return Finding({})

    problem = flowsim.Problem.from_loss(loss, {"x": jnp.array(START), "y": jnp.array(1.0)})
    one = made(measure, probes={"x": lambda p: p["x"]}, events=[event])
    flowsim.verify(problem, one, t1=2.0, save_times=[0.0, 2.0], rtol=1e-4, solver="bosh3")
    assert 1e-9 < abs(found["event"].value - true) <= found["event"].error < 0.1
    assert abs(found["time"].value - true) <= found["time"].error
    assert abs(found["measured time"].value - 0.99) <= found["measured time"].error
    assert np.shape(found["all"].value) == (1,)
