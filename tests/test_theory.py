"""The paper's claims: every verdict can be each of its words, and a broken model breaks the right claims."""

import dataclasses
import pathlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import flowsim
from flowsim import claims, simulate
from flowsim.claims import Word, scaling
from flowsim.claims import yang2024 as theory
from flowsim.claims.yang2024 import phase2
from flowsim.records import Crossing, EventRecord
from flowsim.result import assemble
from flowsim.simulation import Settings, prepare, run

LONG_FIXTURES = ("sound", "shuffled", "frozen")  # what uses them is slow

SAMPLES, LENGTH, VOCABULARY, WIDTH, NEURONS = 60, 4, 103, 40_000, 8


def problem_of_theory(width: int = WIDTH, seed=0):
    task = flowsim.tasks.cooccurrence(
        samples=SAMPLES, length=LENGTH, vocabulary=VOCABULARY, distinct_words=True, key=jax.random.key(seed)
    )
    model = flowsim.models.CooccurrenceTransformer(
        vocabulary=VOCABULARY, width=width, neurons=NEURONS, key=jax.random.key(seed + 1)
    )
    return flowsim.Problem(flowsim.init.theory(length=LENGTH)(model, key=jax.random.key(seed + 2)), task)


def evidence_of(problem, t1=100.0, reduction="auto"):
    prepared = prepare(
        problem,
        Settings(t1, rtol=1e-7, atol=1e-9),
        events=theory.watched(),
        save_times=np.geomspace(1e-6 * t1, t1, 90),
        reduction=reduction,
    )
    probes = prepared.plan.probes + theory.measured(problem, prepared.reduction)
    prepared = dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, probes=probes))
    fresh = flowsim.tasks.cooccurrence(samples=600, length=LENGTH, vocabulary=VOCABULARY, key=jax.random.key(9))
    return theory.observe(problem, prepared.reduction, assemble(prepared, run(prepared)), tolerance=1e-7, fresh=fresh)


def words(evidence, constants=theory.DEFAULT):
    return {verdict.claim.id: verdict.word for verdict in theory.verdicts(evidence, constants)}


@pytest.fixture(scope="module")
def sound():
    return evidence_of(problem_of_theory())


@pytest.fixture(scope="module")
def shuffled():
    problem = problem_of_theory()
    labels = np.random.default_rng(1).permutation(np.asarray(problem.samples.labels))
    return evidence_of(eqx.tree_at(lambda p: p.task.labels, problem, jnp.asarray(labels)))


@pytest.fixture(scope="module")
def frozen():
    """W_K = W_Q = 0: their gradients vanish with them, and attention stays uniform for ever."""
    problem = problem_of_theory()
    zeros = jnp.zeros_like(problem.parameters.W_K)
    return evidence_of(eqx.tree_at(lambda p: (p.parameters.W_K, p.parameters.W_Q), problem, (zeros, zeros)))


HOLDING = (
    "Theorem 3.1.1", "Theorem 3.1.2", "Theorem 3.1.3", "Theorem 3.1.4", "Definition E.2", "Lemma 4.1", "Lemma 4.3",
    "Theorem 3.2.1", "Theorem 3.2.2", "Theorem 3.2.3", "Definition F.1", "Theorem F.8", "Lemma 4.4", "Lemma 4.5",
    "Lemma 4.5 (losses)", "Theorem 3.3.1", "Theorem 3.3.2", "Lemma F.4", "Homogeneity",
)  # fmt: skip


def test_theory_regime(sound):
    found = words(sound)
    assert {name: found[name] for name in HOLDING} == dict.fromkeys(HOLDING, Word.HOLDS)


def test_drifts_are_over_the_typical_initial_diagonal():
    """‖w‖² = ‖u(0)‖²/m1 of a neuron, the mean diagonal of W_VᵀW_V(0) of a word: 40/8 and (2 + 3 + 4)/3."""
    times = np.array([0.0, 0.5, 1.0, 2.0])
    drifts = {f"{name}_drift": 0.1 * times for name in ("neuron", "value_gram", "key_query", "key_gram", "query_gram")}
    dataset = xarray.Dataset(
        {name: ("time", values) for name, values in drifts.items()}
        | {
            "readout_squared": ("time", 40 + times),
            "value_gram": (("time", "word", "word_2"), np.stack([np.diag([2.0, 3.0, 4.0])] * 4)),
        },
        {"time": times},
    )
    crossing = Crossing("phase1_end", 0.9, 1, True, True, dict.fromkeys(drifts, 0.09))
    evidence = theory.Evidence(
        dataset=dataset, events={"phase1_end": EventRecord("phase1_end", "", (crossing,), 0.0)}, samples=60, length=4,
        width=100.0, neurons=8.0, tolerance=1e-8, neuron_rates=None, score_change=np.zeros((3, 3)),
        random_words=np.array([3]), test_loss=None, energy_identity=0.0, complete=True,
    )  # fmt: skip
    claim = next(claim for claim in theory.CLAIMS if claim.id == "Theorem 3.1.3")
    found = claim.verdict(evidence, theory.DEFAULT).finding.measured
    words = {f"{label} drift": 0.09 / 3 for label in ("W_VᵀW_V", "W_KᵀW_Q", "W_KᵀW_K", "W_QᵀW_Q")}
    assert found == pytest.approx({"⟨w_i,w_j⟩ drift": 0.09 / 5, **words})


def test_shuffled_labels_break_what_rests_on_the_words(shuffled):
    found = words(shuffled)
    for name in ("Lemma 4.2", "Theorem 3.2.1", "Definition F.1", "Lemma 4.5", "Theorem 3.3.1", "Theorem 3.3.2"):
        assert found[name] == Word.FAILS, name
    assert found["Lemma F.4"] == found["Homogeneity"] == Word.HOLDS


def test_frozen_attention_breaks_what_rests_on_attention(frozen, sound):
    found, before = words(frozen), words(sound)
    attention = {"Theorem 3.2.1", "Theorem 3.3.2"}
    assert {name for name in found if found[name] != before[name]} == attention
    assert all(found[name] == Word.FAILS for name in attention)


@pytest.mark.slow
def test_all_ones_is_the_same_flow():
    """w_j → a_j w_j turns any signs into ones without changing u = Wᵀa: the claims cannot tell the two apart."""
    problem = problem_of_theory(width=200)
    W, a = problem.parameters.W, problem.remainder.a
    ones = eqx.tree_at(lambda p: (p.parameters.W, p.remainder.a), problem, (a[:, None] * W, jnp.ones_like(a)))
    first, second = (theory.verdicts(evidence_of(p, t1=50.0)) for p in (problem, ones))
    for here, there in zip(first, second, strict=True):
        assert here.word == there.word
        for label, value in here.finding.measured.items():
            np.testing.assert_allclose(there.finding.measured[label], value, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_without_values_nothing_drives_the_neurons():
    problem = problem_of_theory(width=200)
    still = eqx.tree_at(lambda p: (p.parameters.W, p.parameters.W_V), problem, replace_fn=jnp.zeros_like)
    assert words(evidence_of(still, t1=1.0))["Lemma 4.1"] == Word.FAILS


@pytest.mark.slow
def test_before_the_end_of_phase_1_nothing_is_claimed():
    found = words(evidence_of(problem_of_theory(), t1=1e-4))
    assert {found[name] for name in ("Theorem 3.1.1", "Theorem 3.2.1", "Lemma 4.5", "Theorem 3.3.1")} == {
        Word.NOT_REACHED
    }


def changed(evidence, **functions):
    """Evidence with variables of its dataset replaced by functions of their values."""
    data = evidence.dataset.copy(deep=True)
    for name, function in functions.items():
        data[name] = (data[name].dims, function(data[name].values.copy()))
    return dataclasses.replace(evidence, dataset=data)


BREAKS = {
    "Theorem 3.1.1": {"mlp_alignment": np.negative},
    "Lemma 4.1": {"alignment_rate": np.negative},
    "Lemma 4.2": {"alignment_rate": lambda x: np.ones_like(x)},
    "Lemma 4.3": {"alignment_rate": np.ones_like},
    "Theorem 3.2.1": {"attention_score_rate": np.negative},
    "Theorem 3.2.2": {"value_gram_rate": np.negative},
    "Theorem 3.2.3": {"mlp_alignment": np.negative},
    "Theorem 3.2.4": {"mlp_alignment": np.ones_like},
    "Definition F.1": {"gradient_sum": lambda x: x[:, ::-1]},
    "Theorem F.8": {"gradient_norm": np.sqrt},
    "Lemma 4.4": {"balance_gap": lambda x: x + 2.0},
    "Lemma 4.5": {"balance_ratio": lambda x: x + 1.0},
    "Lemma 4.5 (losses)": {"loss_by_group_rate": lambda x: x * np.array([1.0, 2.0, 1.0, 1.0])},
    "Theorem 3.3.1": {"loss": lambda x: x + 1.0},
    "Definition E.2": {"value_gram_drift": lambda x: x + 1.0},
    "Theorem 3.1.3": {"value_gram_drift": lambda x: x + 1.0},
    "Lemma F.4": {"readout_rate_defect": lambda x: x + 1e-3},
    "Homogeneity": {"invariant_key_query": lambda x: x + 1e-3},
}


@pytest.mark.parametrize("claim", BREAKS)
def test_every_verdict_can_fail(sound, claim):
    assert words(changed(sound, **BREAKS[claim]))[claim] == Word.FAILS


def test_the_other_verdicts_can_fail(sound):
    strict = dataclasses.replace(theory.DEFAULT, vanishing=10.0)
    assert words(sound, strict)["Theorem 3.1.4"] == Word.FAILS
    assert words(dataclasses.replace(sound, score_change=-sound.score_change))["Theorem 3.3.2"] == Word.FAILS
    assert words(dataclasses.replace(sound, energy_identity=1e-3))["Homogeneity"] == Word.FAILS


def test_a_wide_error_band_is_too_close_to_call(sound):
    data = sound.dataset.copy()
    data["attention_score_rate_error"] = xarray.full_like(data.attention_score_rate, 1.0)
    assert words(dataclasses.replace(sound, dataset=data))["Theorem 3.2.1"] == Word.TOO_CLOSE


@pytest.mark.slow
def test_the_gram_system_sees_the_same(sound):
    """Another ODE, whose words have no neurons: every verdict that it can give agrees."""
    gram = evidence_of(problem_of_theory(), reduction="gram")
    assert "neuron_drift" not in gram.dataset
    assert "neuron_drift" in sound.dataset
    np.testing.assert_allclose(gram.T1, sound.T1, rtol=1e-6)
    assert words(gram) == words(sound)


@pytest.mark.slow
def test_neuron_drift_is_that_of_all_pairs():
    problem = problem_of_theory(width=30)
    evidence = evidence_of(problem, t1=3.0)
    result = simulate(problem, t1=3.0, rtol=1e-9, atol=1e-11)
    W0, W1 = np.asarray(problem.parameters.W), np.asarray(result.model.W)
    np.testing.assert_allclose(
        evidence.dataset.neuron_drift.values[-1], np.max(np.abs(W1 @ W1.T - W0 @ W0.T)), rtol=1e-5
    )


@pytest.mark.slow
def test_neuron_rates_are_rates_of_the_flow():
    problem = problem_of_theory(width=30)
    evidence, h = evidence_of(problem, t1=1e-3), 1e-4
    model = simulate(problem, t1=h, rtol=1e-12, atol=1e-14).model
    start = problem.model(problem.parameters)
    change = np.asarray(model.a[:, None] * (model.W @ model.W_V - start.W @ start.W_V))[:, :3]
    np.testing.assert_allclose(evidence.neuron_rates, change / h, rtol=2e-2, atol=1e-3)
    total = np.sum(evidence.neuron_rates, axis=0)
    np.testing.assert_allclose(total, evidence.dataset.alignment_rate.values[0], rtol=1e-9)


def test_local_slope_of_the_inverse_loss(sound):
    """‖∇loss‖²/loss² against differences of the saved 1/loss."""
    claim = next(claim for claim in phase2.CLAIMS if claim.id == "Theorem F.8")
    curve = claim.measure(sound, theory.DEFAULT).curve
    _, loss, _ = sound.series("loss", sound.T1, sound.T2)
    slope = np.diff(1 / loss) / np.diff(curve.time) / sound.readout_scale
    between = curve.lines["d(1/loss)/dt / σ1² m m1"]
    between = (between[1:] + between[:-1]) / 2
    np.testing.assert_allclose(slope, between, rtol=0.02)


def test_balance_probes(sound):
    """Against the saved sums, and the root near the even balance of 7 : 5 : 5."""
    data = sound.dataset
    both, first, second, neither = data.gradient_sum.values.T
    np.testing.assert_allclose(data.balance_gap, (first - second) / np.minimum(first, second), atol=1e-12)
    np.testing.assert_allclose(data.balance_ratio, (first + second + neither - both) / (both - first), rtol=1e-9)
    assert np.all(np.abs(data.balance_root - 1.5) < 0.1)  # R* of 7 : 5 : 5 is 1.5
    exponents = np.gradient(np.log(data.loss_by_group.values), np.log(data.time.values + 1e-300), axis=0)
    local = data.time.values[:, None] * data.loss_by_group_rate.values
    np.testing.assert_allclose(exponents[40:-2], local[40:-2], rtol=0.05, atol=0.01)


@pytest.mark.parametrize(
    ("margins", "errors", "word"),
    [
        ([1.0, 2.0], 0.1, Word.HOLDS),
        ([1.0, -2.0], 0.1, Word.FAILS),
        ([1.0, 0.05], 0.1, Word.TOO_CLOSE),
        ([1.0, -0.05], 0.1, Word.TOO_CLOSE),
        ([1.0, np.nan], 0.1, Word.TOO_CLOSE),
        ([0.0], 0.0, Word.FAILS),
    ],
)
def test_judge(margins, errors, word):
    assert claims.judge([claims.positive(margins, errors)]) == word


def test_tally(sound):
    claim = theory.CLAIMS[0]
    holds, fails = claim.verdict(sound), claim.verdict(changed(sound, **BREAKS["Theorem 3.1.1"]))
    found = claims.tally([holds, holds, fails])
    assert (found.verdict, found.fraction) == (Word.HOLDS, 2 / 3)
    assert claims.tally([holds, fails]).verdict == Word.TOO_CLOSE
    assert found.measured["G(0) at T1"][1] == -found.measured["G(0) at T1"][2]
    with pytest.raises(ValueError, match="one claim"):
        claims.tally([holds, theory.CLAIMS[1].verdict(sound)])


@pytest.mark.slow
def test_t1_falls_with_the_width():
    """Six runs of the Gram system, one compiled program: T1 ∝ 1/(σ1² m m1) at widths far above the words' number."""
    points = [
        scaling.Point(width, seed, evidence_of(problem_of_theory(int(width), seed), t1=4e4 / width, reduction="gram"))
        for width in (1e4, 1e5)
        for seed in (0, 1)
    ]
    found = {exponent.law.id: exponent for exponent in scaling.fit(theory.LAWS, "width", points)}
    assert abs(found["T1 law"].exponent + 1) < 0.02
    assert abs(found["Theorem E.28"].exponent + 1.5) < 0.1
    assert found["T1 law"].predicted == pytest.approx(-1, abs=0.02)


@pytest.mark.parametrize(("power", "word"), [(-1.0, Word.HOLDS), (-1.1, Word.TOO_CLOSE), (-1.5, Word.FAILS)])
def test_an_exponent_that_is_off_fails(sound, power, word):
    """Random words over the number of samples: the size whose prediction, 1/n, is a field of the evidence."""

    def point(value, seed):
        change = np.zeros_like(sound.score_change)
        change[0, 1], change[5, 6] = 1.0, value**power * np.exp(5e-2 * np.sin(3 * np.log(value) + seed))
        here = dataclasses.replace(sound, samples=int(value), score_change=change, random_words=np.arange(3, 9))
        return scaling.Point(value, seed, here)

    points = [point(value, seed) for value in (10.0, 100.0, 1000.0) for seed in (0, 1)]
    found = {exponent.law.id: exponent for exponent in scaling.fit(theory.LAWS, "samples", points)}
    law = found["Theorem 3.3.2 (random words)"]
    assert law.verdict == word
    assert law.exponent == pytest.approx(power, abs=0.05)
    assert law.id == "Theorem 3.3.2 (random words) over samples"
    assert found["T1 law"].exponent == pytest.approx(0, abs=1e-9)


def test_a_task_without_groups_has_no_claims():
    task = flowsim.tasks.from_arrays(np.array([[0, 1, 2], [2, 3, 4]]), np.array([1, -1]), vocabulary=5)
    model = flowsim.models.CooccurrenceTransformer(vocabulary=5, width=4, neurons=4, key=jax.random.key(0))
    problem = flowsim.Problem(model, task)
    with pytest.raises(ValueError, match="grouped"):
        theory.measured(problem, flowsim.reductions.reduce(problem))


def test_every_claim_is_in_the_documentation():
    text = (pathlib.Path(__file__).parent.parent / "docs" / "claims.md").read_text(encoding="utf8")
    for claim in theory.CLAIMS:
        assert f"| {claim.id} |" in text
    for law in theory.LAWS:
        assert law.id.split(" (")[0] in text
    for field in dataclasses.fields(theory.Constants):
        assert f"`{field.name}` = {field.default:g}" in text
