"""Claims of any problem: measured numbers with error bounds, findings, closed forms, `flowsim.verify`."""

import json
import pathlib
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.claims import Evidence, Finding, Measured, Word, agrees, conserved, judge, near

LONG_FIXTURES = ("evidence",)  # what uses them is slow


def word(finding):
    return judge(finding.conditions)


OPERATIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: 2.0 - a - b,
    "product": lambda a, b: a * b * 3.0,
    "quotient": lambda a, b: a / b,
    "reciprocal": lambda a, b: 1.0 / (a * a + b * b),
    "cube": lambda a, b: a**3 - b**2,
    "inverse square": lambda a, b: b**-2,
    "magnitude": lambda a, b: abs(a - b),
    "root": lambda a, b: _call(abs(b), "sqrt"),
    "logarithm": lambda a, b: _call(a * a + 1.0, "log"),
    "exponential": lambda a, b: _call(a, "exp"),
}


def _call(x, name):
    return getattr(x, name)() if isinstance(x, Measured) else getattr(np, name)(x)


@pytest.mark.parametrize("name", OPERATIONS)
def test_error_bounds_cover_the_truth(name):
    """The result for true values anywhere within the bounds stays within the result's bound."""
    operation, rng = OPERATIONS[name], np.random.default_rng(0)
    for _ in range(40):
        values, errors = rng.uniform(-2, 2, 2), 10.0 ** rng.uniform(-6, -1, 2)
        found = operation(*map(Measured, values, errors))
        for _ in range(20):
            true = operation(*(values + errors * rng.choice([-1, 1, rng.uniform(-1, 1)], 2)))
            assert abs(true - found.value) <= found.error + 1e-14


def test_what_is_not_known_has_an_infinite_error():
    wide = Measured(0.1, 0.2)
    assert np.isinf([(1 / wide).error, wide.log().error, (wide**-1).error, (wide**0.5).error]).all()
    assert np.isinf(Measured(np.nan, 0.0).error)
    with pytest.raises(ValueError, match="≥ 0"):
        Measured(1.0, -1e-3)


def test_rounding_is_in_the_bounds():
    """The true values are outside of bounds that take the ends, or a value that underflows, for exact."""
    assert Measured(-750.0, 10.0).exp().high >= np.exp(-740.0)
    assert Measured(-800.0, 700.0).exp().high >= np.exp(-100.0)
    assert np.isinf(Measured(705.0, 10.0).exp().error)
    assert (Measured(1.0, 5e-17) ** 100).error >= 5e-15
    assert Measured(1.0, 5e-17).log().error >= 5e-17


def test_numpy_takes_measured_numbers():
    one, two = np.array([1.0, 2.0]) * Measured([1.0, 2.0], 0.1), np.exp(Measured(1.0, 0.1))
    assert isinstance(one, Measured)
    np.testing.assert_allclose((one.value, one.error), ([1.0, 4.0], [0.1, 0.2]), rtol=1e-12)
    assert two.error == Measured(1.0, 0.1).exp().error
    assert judge((np.array([1.0, 2.0]) < Measured([3.0, 4.0], 0.1),)) == Word.HOLDS
    with pytest.raises(TypeError):
        np.sin(Measured(1.0, 0.1))


@pytest.mark.parametrize(
    ("a", "relation", "b", "expected"),
    [
        (Measured(1.0, 0.1), "<", Measured(2.0, 0.1), Word.HOLDS),
        (Measured(1.0, 0.1), ">", Measured(2.0, 0.1), Word.FAILS),
        (Measured(1.0, 0.6), "<", Measured(2.0, 0.6), Word.TOO_CLOSE),
        (1.0, "<", 1.0, Word.FAILS),
        (Measured(1.0, 1e-9), "==", 1.0 + 5e-10, Word.HOLDS),
        (Measured(1.0, 1e-9), "==", 1.0 + 5e-9, Word.FAILS),
        (Measured(1.0, 0.1), "==", 1.05, Word.TOO_CLOSE),
        (Measured(1e-14, 1e-12), "==", 0.0, Word.HOLDS),
        (Measured(1.0, np.inf), "==", 1.0, Word.TOO_CLOSE),
        (Measured(np.nan, 0.0), "==", 1.0, Word.TOO_CLOSE),
        (Measured([1.0, 3.0], 0.1), "<", 2.0, Word.FAILS),
    ],
)
def test_compare(a, relation, b, expected):
    assert word(Finding.compare(a, relation, b)) == expected


def test_compare_refuses_other_relations_and_truth_values_that_are_open():
    with pytest.raises(ValueError, match="relation"):
        Finding.compare(1.0, "<=", 2.0)
    with pytest.raises(ValueError, match="too close"):
        bool(Measured(1.0, 0.6) < 1.5)
    assert bool(Measured(1.0, 0.1) < 1.5)


RATE = 0.7


@pytest.fixture(scope="module")
def evidence():
    """x' = -x and y' = -0.7 y: everything is known in closed form."""
    problem = flowsim.Problem.from_loss(lambda p: 0.5 * (p["x"] ** 2 + RATE * p["y"] ** 2), {"x": 2.0, "y": 1.0})
    half = flowsim.events.crossing("half", lambda t, p: p["x"] - 1.0, direction="down")
    never = flowsim.events.crossing("never", lambda t, p: p["x"] + 1.0)
    probes = {
        "x": lambda p: p["x"],
        "both": lambda p: jnp.stack([p["x"], p["y"]]),
        "ratio": lambda p: p["y"] / p["x"] ** RATE,
    }
    times = np.linspace(0.1, 4.9, 49)
    result = flowsim.simulate(
        problem, t1=5.0, rtol=1e-10, atol=1e-12, events=[half, never], probes=probes, save_times=times, certificate=True
    )
    return Evidence(problem, result)


def test_values_carry_honest_errors(evidence):
    for at, true in (
        (0.0, 2.0),
        (1.0, 2 * np.exp(-1.0)),
        ("half", 1.0),
        (None, 2 * np.exp(-5.0)),
        (1.234, 2 * np.exp(-1.234)),
    ):
        found = evidence.value("x", at=at)
        assert abs(found.value - true) <= found.error + 1e-15, at
        assert found.error < (0.2 if at == 1.234 else 1e-7)
    time = evidence.time("half")
    assert abs(time.value - np.log(2)) <= time.error < 1e-8


def test_names_that_nothing_measured_and_what_did_not_happen(evidence):
    with pytest.raises(KeyError, match=r"variables: .*both"):
        evidence.value("z")
    with pytest.raises(KeyError, match="events: half"):
        evidence.time("hlaf")
    with pytest.raises(flowsim.claims.NotReachedError, match="before 6"):
        evidence.value("x", at=6.0)
    claim = flowsim.claim(id="c", statement="s", rule="r")(lambda e: Finding.compare(e.time("never"), "<", 1.0))
    verdict = claim.verdict(evidence)
    assert (verdict.word, verdict.finding.reason) == (Word.NOT_REACHED, "never did not happen by t = 5")


def test_closed_forms_and_conserved_quantities(evidence):
    def exact(t):
        return np.stack([2 * np.exp(-t), np.exp(-RATE * t)], axis=1)

    found = agrees(evidence, "both", exact)
    assert word(found) == Word.HOLDS
    assert found.measured["both: largest relative distance"] < 1e-7
    assert word(agrees(evidence, "both", lambda t: exact(t * (1 + 1e-7)))) == Word.FAILS
    assert word(agrees(evidence, "both", exact, resolution=1e-14)) == Word.TOO_CLOSE
    assert word(conserved(evidence, "ratio")) == Word.HOLDS
    assert word(conserved(evidence, "x")) == Word.FAILS
    assert word(near(evidence.time("half"), 0.69, 0.01)) == Word.HOLDS
    assert word(near(evidence.time("half"), 0.69, 0.001)) == Word.FAILS
    with pytest.raises(ValueError, match="shape"):
        agrees(evidence, "both", lambda t: t)


def test_findings_together(evidence):
    yes, no = Finding.compare(1.0, "<", 2.0), Finding.compare(2.0, "<", 1.0)
    assert (word(yes & yes), word(yes & no)) == (Word.HOLDS, Word.FAILS)
    open_ = Finding({}, reason="not there")
    assert (yes & open_).conditions == ()


@pytest.mark.slow
def test_evidence_needs_a_certificate():
    problem = flowsim.Problem.from_loss(lambda x: 0.5 * x**2, 1.0)
    with pytest.raises(ValueError, match="certificate=True"):
        Evidence(problem, flowsim.simulate(problem, t1=1.0))


def test_verify():
    """A claim brings the probes and events that it needs; verdicts print as a table and are found by id."""
    fall = flowsim.events.crossing("fall", lambda t, x: x - 0.5)

    @flowsim.claim(
        id="half-time", source="own", statement="x halves at ln 2", rule="within 1e-6", events=[fall],
        probes={"double": lambda x: 2 * x},
    )  # fmt: skip
    def half_time(evidence):
        return near(evidence.time("fall"), np.log(2), 1e-6) & Finding.compare(evidence.value("double"), "<", 1.0)

    @flowsim.claim(id="grows", rule="final > first", constants={"factor": 1.0})
    def grows(evidence, constants):
        """x
        grows."""
        return Finding.compare(evidence.value("double"), ">", constants["factor"] * evidence.value("double", at=0.0))

    problem = flowsim.Problem.from_loss(lambda x: 0.5 * x**2, 1.0)
    found = flowsim.verify(problem, [half_time, grows], t1=2.0, probes={"double": lambda x: 2 * x})
    assert [v.word for v in found] == [Word.HOLDS, Word.FAILS]
    assert found["grows"].word == Word.FAILS
    assert not found.all_hold
    assert found["grows"].claim.statement == "x grows."
    assert "half-time  holds" in repr(found)
    assert "<td>grows</td>" in found._repr_html_()
    with pytest.raises(KeyError, match="half-time, grows"):
        found["other"]
    with pytest.raises(ValueError, match="one id: grows"):
        flowsim.verify(problem, [grows, grows], t1=1.0)
    wrong = flowsim.claim(id="w", statement="s", rule="r")(lambda evidence: True)
    with pytest.raises(TypeError, match="Finding"):
        wrong.verdict(found.evidence)
    with pytest.raises(ValueError, match="claim 'w' states nothing"):
        flowsim.claim(id="w", rule="r")(lambda evidence: Finding({}))


PAGE = pathlib.Path(__file__).parent.parent / "docs" / "your-own-claim.md"
TUTORIAL = PAGE.parent / "tutorials" / "own_claim.py"
TEXTS = (TUTORIAL.read_text(encoding="utf8"), re.findall(r"```python\n(.*?)```", PAGE.read_text("utf8"), re.S)[1])


@pytest.mark.slow
@pytest.mark.parametrize(("text", "lines"), [(TEXTS[0], 15), (TEXTS[1], 25)], ids=["claim", "model and claim"])
def test_the_documented_claims_run_and_are_short(text, lines, capsys):
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) <= lines
    exec(compile(text, str(PAGE), "exec"), {"__name__": "page"})
    assert re.search(r"(half-time|balance)  holds", capsys.readouterr().out)


COMMAND = [sys.executable, "-c", "from flowsim.cli import main; main()"]


def run(*arguments, cwd):
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.slow
def test_new_theory_runs_as_it_is_over_seeds_and_sizes(tmp_path):
    assert run("new", "theory", "--out", "mine", cwd=tmp_path).returncode == 0
    assert run("new", "theory", "--out", "mine", cwd=tmp_path).returncode == 2
    plugin = tmp_path / "mine" / "theory.py"
    law = """
        law = flowsim.claims.Law(
            "first rate", "own", "The strength starts to grow in proportion to start².",
            lambda e: e.value("strength", at=0.0), 2.0, over="problem.start",
        )
        return [sigmoid, falls, law]
"""
    plugin.write_text(plugin.read_text(encoding="utf8").replace("        return [sigmoid, falls]\n", law), "utf8")
    done = run(
        "verify", "mine/experiment.yaml", "--plugin", plugin, "seeds=2", "flow.t1=4.0", "--out", "out", "--json",
        "scaling={over: problem.start, values: [0.01, 0.03], seeds: 2}", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {claim["id"]: claim for claim in json.loads(done.stdout)["claims"]}
    assert [claim["verdict"] for claim in found.values()] == ["holds"] * 3
    assert found["sigmoid"]["runs"]["holds"] == 2
    assert found["first rate"]["measured"]["exponent"] == pytest.approx(2.0)
    alone = ("verify", "mine/experiment.yaml", "--plugin", plugin, "flow.t1=4.0", "--out", "alone", "--json")
    found = {claim["id"]: claim for claim in json.loads(run(*alone, cwd=tmp_path).stdout)["claims"]}
    assert found["first rate"]["verdict"] == "not reached"
    assert "list them under `scaling`" in found["first rate"]["reasons"][0]


@pytest.mark.slow
def test_without_claims_an_experiment_must_be_the_papers(tmp_path):
    run("new", "theory", "--out", "mine", cwd=tmp_path)
    done = run("verify", "mine/experiment.yaml", "--plugin", "mine/theory.py", "claims=[]", cwd=tmp_path)
    assert done.returncode == 2
    assert "your-own-claim" in done.stderr


def test_order_of_events(evidence):
    """Equal sizes may come in any order; a size out of order fails; all equal say nothing."""
    times = {"e_0": 3.0, "e_1": 1.0, "e_2": 2.0}

    class Clock(Evidence):
        def __init__(self):
            pass

        def time(self, event):
            return Measured(times[event], 1e-9, event)

    assert judge(flowsim.claims.in_order(Clock(), "e", [1.0, 3.0, 2.0]).conditions) == Word.HOLDS
    assert judge(flowsim.claims.in_order(Clock(), "e", [1.0, 3.0, 3.0]).conditions) == Word.HOLDS
    assert judge(flowsim.claims.in_order(Clock(), "e", [1.0, 2.0, 3.0]).conditions) == Word.FAILS
    with pytest.raises(flowsim.claims.NotReachedError, match="no order"):
        flowsim.claims.in_order(Clock(), "e", [2.0, 2.0, 2.0])
    with pytest.raises(flowsim.claims.NotReachedError, match="not yet at a minimum"):
        flowsim.claims.converged(evidence, 1e-9)
    assert flowsim.claims.converged(evidence, 1.0) < 1.0


def test_resting_places_are_between_drops():
    time = np.concatenate([[0.0], np.geomspace(1e-2, 1e6, 400)])
    steps = 1 + 1 / (1 + time) + 1 / (1 + time / 1e4)
    (found,) = flowsim.claims.resting_places(time, steps)
    assert 10 < time[found] < 1000
    assert abs(steps[found] - 2) < 0.03
    assert len(flowsim.claims.resting_places(time, 1 + 1 / (1 + time))) == 0
