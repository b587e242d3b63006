"""Probes that are asked for: induction, generalisation, margins, norms and ranks, each against plain NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import probes, tasks
from flowsim.config import ExperimentErrors
from flowsim.config.load import load_text
from flowsim.experiment.build import prepared, problem
from flowsim.moment import Lift, Moment

WORDS = np.array([[0, 1, 2, 0, 1, 0, 3, 3], [3, 3, 1, 2, 0, 0, 0, 4]])


def transformer(**options):
    options = {"vocabulary": 5, "layers": 2, "heads": 2, "width": 4, "neurons": 6, "residual": True} | options
    return flowsim.models.Transformer(**options, key=jax.random.key(1))


def measured(probe, built):
    return np.asarray(measure(probe, Moment(built, jnp.zeros(()), built.parameters, Lift(built, None))))


@eqx.filter_jit
def measure(probe, moment):
    return probe.measure(moment)


def of_model(probe, model):
    return measured(probe, flowsim.Problem(model, tasks.from_arrays(WORDS, np.array([1, -1]), vocabulary=5)))


def test_induction_score_is_the_attention_at_the_pairs():
    pairs = [(0, 1, 3), (0, 2, 4)]  # sample, key, query: 0 1 2 *0* *1*; 3 3 and 0 0 stand side by side, no third 0
    model = transformer()
    found = of_model(probes.induction_score(WORDS), model)
    maps = np.array(jax.jit(lambda words: jax.vmap(model.attention)(words))(jnp.asarray(WORDS))).reshape(2, 4, 8, 8)
    np.testing.assert_allclose(found, np.mean([maps[i, :, key, query] for i, key, query in pairs], axis=0), rtol=1e-12)


def test_induction_score_of_even_attention_is_one_over_length():
    model = transformer(layers=1, heads=1)
    even = eqx.tree_at(lambda m: m.blocks[0].heads[0].W_K, model, replace_fn=jnp.zeros_like)
    np.testing.assert_allclose(of_model(probes.induction_score(WORDS), even), [1 / 8], rtol=1e-12)


def test_a_perfect_induction_head_scores_one():
    """Scores that ask for the position after, on one-hot positions, for a sequence that repeats after 4 words."""
    words = np.array([[0, 1, 2, 3, 0, 1, 2]])
    model = transformer(
        layers=1, heads=1, width=12, neurons=2, residual=False, position="one_hot", length=7, merged=True
    )
    wanted = np.zeros((12, 12))
    wanted[5 + 1 : 5 + 4, 5 + 4 : 5 + 7] = 1e3 * np.eye(3)  # key position p + 1 for query position p + 4
    model = eqx.tree_at(lambda m: m.blocks[0].heads[0].W_KQ, model, jnp.asarray(wanted))
    np.testing.assert_allclose(of_model(probes.induction_score(words), model), [1.0], rtol=1e-12)


@pytest.mark.parametrize("words", [np.array([[0, 0, 1, 2]]), np.array([[0.5, 0.5]]), np.array([0, 1, 0])])
def test_induction_needs_pairs(words):
    with pytest.raises(ValueError, match="induction_score"):
        probes.induction_score(words)


@pytest.mark.thorough
@pytest.mark.parametrize("reduction", ["vocabulary", "readout", "none"])
def test_fresh_samples_see_the_users_model(reduction):
    """Also where the training samples lack words that the fresh ones hold."""
    task = tasks.cooccurrence(samples=6, length=4, vocabulary=20, key=jax.random.key(0))
    fresh = tasks.cooccurrence(samples=50, length=4, vocabulary=20, exact_groups=False, key=jax.random.key(5))
    assert not set(np.unique(fresh.tokens)) <= set(np.unique(task.tokens))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=20, width=12, neurons=6, key=jax.random.key(1))
    built = flowsim.Problem(model, task)
    reduced = flowsim.reductions.reduce(built, reduction)
    lift = Lift(built, reduced.lift, reduced.recoverable)
    moment = Moment(reduced.problem, jnp.zeros(()), reduced.problem.parameters, lift)
    margins = np.asarray(fresh.labels) * np.asarray(jax.vmap(model)(jnp.asarray(fresh.tokens)))
    np.testing.assert_allclose(
        measure(probes.fresh_loss(fresh), moment), np.mean(np.log1p(np.exp(-margins))), rtol=1e-9
    )
    np.testing.assert_allclose(measure(probes.fresh_accuracy(fresh), moment), np.mean(margins > 0), rtol=1e-12)


def test_inner_products_hold_no_model():
    task = tasks.cooccurrence(samples=6, length=4, vocabulary=20, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=20, width=12, neurons=6, key=jax.random.key(1))
    built = flowsim.Problem(model, task)
    gram = flowsim.reductions.reduce(built, "gram")
    moment = Moment(gram.problem, jnp.zeros(()), gram.problem.parameters, Lift(built, gram.lift, gram.recoverable))
    for probe in (probes.fresh_loss(task), probes.norm("W_K"), probes.rank("W_K")):
        with pytest.raises(ValueError, match="another reduction"):
            probe.measure(moment)


def test_a_draw_keeps_the_language():
    options = {"samples": 40, "length": 20, "vocabulary": 6, "concentration": 1e-4, "key": jax.random.key(3)}
    first, second = tasks.next_token(**options), tasks.next_token(**options, draw=jax.random.key(4))
    assert not np.array_equal(first.tokens, second.tokens)
    follows = [
        dict(zip(np.ravel(t.tokens).tolist(), np.ravel(t.labels).tolist(), strict=True)) for t in (first, second)
    ]
    shared = set(follows[0]) & set(follows[1])  # words that were met; each has one successor at this concentration
    assert shared
    assert all(follows[0][word] == follows[1][word] for word in shared)


def test_a_draw_keeps_the_teacher():
    options = {"samples": 10, "features": 3, "outputs": 2, "key": jax.random.key(3)}
    teachers = [
        np.linalg.lstsq(t.tokens, t.labels)[0]
        for t in (tasks.regression(**options), tasks.regression(**options, draw=jax.random.key(4)))
    ]
    np.testing.assert_allclose(*teachers, rtol=1e-10)


def test_norms_ranks_and_margins_of_the_model():
    model = transformer()
    block = model.blocks[1]
    assert block.W is not None
    assert block.heads[0].W_K is not None
    total = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(block)))
    np.testing.assert_allclose(of_model(probes.norm("blocks.1"), model), total, rtol=1e-12)
    np.testing.assert_allclose(
        of_model(probes.norm("blocks.1.heads.0.W_K"), model), np.linalg.norm(block.heads[0].W_K), rtol=1e-12
    )
    spectrum = np.linalg.svd(block.W, compute_uv=False)
    share = spectrum / spectrum.sum()
    np.testing.assert_allclose(of_model(probes.rank("blocks.1.W"), model), np.exp(-share @ np.log(share)), rtol=1e-12)
    margins = np.array([1, -1]) * np.asarray(jax.vmap(model)(jnp.asarray(WORDS)))
    quartiles = np.quantile(margins, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(of_model(probes.margins(), model), quartiles, rtol=1e-12)
    assert probes.norm("blocks.1.W").name == "norm_blocks_1_W"
    with pytest.raises(ValueError, match=r"'block' names no trained array; they are embedding"):
        of_model(probes.norm("block"), model)
    with pytest.raises(ValueError, match="not a single matrix"):
        of_model(probes.rank("blocks.1"), model)


def test_subspaces_of_two_matrices():
    """cos² of the angle between singular vectors, whatever their length, sign and basis."""
    rng = np.random.default_rng(0)
    frame, other = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (6, 4))
    first = frame[:, :3] @ np.diag([5.0, 3.0, 1.0]) @ other[:, :3].T
    angle = 0.3
    turned = np.cos(angle) * frame[:, 0] + np.sin(angle) * frame[:, 3]
    second = np.stack([4 * turned, -7 * frame[:, 1], 0.1 * frame[:, 5]])  # (3, 6): its input side meets first's output
    problem = flowsim.Problem.from_loss(lambda p: (p["a"] ** 2).sum() + (p["b"] ** 2).sum(), {"a": first, "b": second})

    def of(*arguments, **options):
        return float(measured(probes.subspace_alignment(*arguments, **options), problem))

    assert of("a", "b", rank=2) == pytest.approx((np.cos(angle) ** 2 + 1) / 2, rel=1e-12)
    assert of("a", "b") == pytest.approx(0, abs=1e-24)  # 7 leads in b, 5 in a
    assert of("a", rank=3) == pytest.approx(1, rel=1e-12)
    assert of("b", "b", sides=("input", "input")) == pytest.approx(1, rel=1e-12)
    assert probes.subspace_alignment("a", "b").name == "alignment_a_b"
    assert probes.subspace_alignment("blocks.0.W").name == "alignment_blocks_0_W_start"
    with pytest.raises(ValueError, match=r"the output side of a has 6 dimensions, the output side of b 3"):
        of("a", "b", sides=("output", "output"))
    with pytest.raises(ValueError, match="lower rank"):
        of("a", rank=5)
    with pytest.raises(ValueError, match="rank must be at least 1"):
        of("a", rank=0)


def test_singular_values_of_a_product():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 3)), rng.normal(size=(4, 5))
    problem = flowsim.Problem.from_loss(lambda p: (p["a"] ** 2).sum() + (p["b"] ** 2).sum(), {"a": first, "b": second})
    spectrum = np.linalg.svd(first.T @ second, compute_uv=False)
    probe = probes.singular_values("a.T", "b", count=2)
    assert (probe.name, probe.dims) == ("singular_values_a_T_b", ("mode_a_T_b",))
    np.testing.assert_allclose(measured(probe, problem), spectrum[:2], rtol=1e-12)
    np.testing.assert_allclose(measured(probes.singular_values("b.T", "a"), problem), spectrum, rtol=1e-12)
    with pytest.raises(ValueError, match=r"a has 3 columns and b 4 rows"):
        measured(probes.singular_values("a", "b"), problem)
    with pytest.raises(ValueError, match="at least one matrix"):
        probes.singular_values()
    with pytest.raises(ValueError, match="count must be at least 1"):
        probes.singular_values("a", count=0)


def test_a_matrix_turns_away_from_its_start():
    """Gradient flow on |A - B|²/2 goes A0 → B on a line: the alignment falls from 1 to that of B with A0."""
    start, goal = np.diag([3.0, 1.0]), np.array([[0.0, 0.0], [0.0, 9.0]])
    problem = flowsim.Problem.from_loss(lambda p: ((p["A"] - goal) ** 2).sum() / 2, {"A": jax.numpy.asarray(start)})
    wanted = {"turned": probes.subspace_alignment("A")}
    turned = flowsim.simulate(problem, t1=40.0, probes=wanted, save_times=[0.01, 40.0]).dataset["turned"]
    np.testing.assert_allclose(turned, [1, 1, 0], atol=1e-12)


EXPERIMENT = """name: probes
task: {TASK}
model: {kind: transformer, layers: 1, heads: 2, width: 4, neurons: 4, residual: true, READOUT}
loss: {LOSS}
events: []
flow: {t1: 1.0}
probes: {PROBES}
"""
SIGNS = "{kind: cooccurrence, samples: 12, length: 6, vocabulary: 6}"
CHAIN = "{kind: next_token, samples: 12, length: 8, vocabulary: 4}"


def experiment(task, wanted, loss="logistic", readout="causal: false"):
    text = EXPERIMENT.replace("{TASK}", task).replace("{PROBES}", wanted).replace("{LOSS}", loss)
    return load_text(text.replace("READOUT", readout), origin="x.yaml")


def test_probes_of_an_experiment(tmp_path):
    wanted = "[induction_score, {kind: fresh, samples: 7}, margins, {kind: norm, of: blocks.0}, " + (
        "{kind: norm, of: embedding}, {kind: rank, of: blocks.0.heads.1.W_V}, {kind: sharpness, of: blocks.0}, "
        "{kind: subspace_alignment, of: blocks.0.heads.1.W_V, rank: 2, sides: [input, input]}, "
        "{kind: singular_values, of: [blocks.0.heads.1.W_K.T, blocks.0.heads.1.W_Q], count: 2}]"
    )
    asked = experiment(CHAIN, wanted, "cross_entropy", "causal: true, readout: each, train_readout: true")
    built = problem(asked, tmp_path)
    plan = prepared(asked, built).plan
    own = {probe.name: probe for probe in plan.probes[-10:]}
    assert list(own) == [
        "induction_score", "fresh_loss", "fresh_accuracy", "margin",
        "norm_blocks_0", "norm_embedding", "rank_blocks_0_heads_1_W_V",
        "sharpness_blocks_0", "alignment_blocks_0_heads_1_W_V_start",
        "singular_values_blocks_0_heads_1_W_K_T_blocks_0_heads_1_W_Q",
    ]  # fmt: skip
    again = prepared(asked, built).plan
    np.testing.assert_array_equal(own["fresh_loss"].measure.task.tokens, again.probes[-9].measure.task.tokens)
    assert own["fresh_loss"].measure.task.samples == 7
    assert all(np.all(np.isfinite(measured(probe, built))) for probe in own.values())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            "[{kind: norm, of: block.0}]",
            r"probes\[0\].of: must name trained parameters of the model, and block.0 is none",
        ),
        ("[{kind: rank, of: blocks.0}]", r"must name one matrix of the model"),
        ("[{kind: subspace_alignment, of: blocks.0.W, to: blocks.0}]", r"probes\[0\].to: must name one matrix"),
        ("[{kind: subspace_alignment, of: blocks.0.heads.0.W_V, sides: [left, input]}]", r"probes\[0\].sides"),
        ("[{kind: subspace_alignment, of: blocks.0.heads.0.W_V, sides: [input]}]", r"probes\[0\].sides"),
        ("[{kind: singular_values, of: [blocks.0.W, blocks.0.U.T]}]", r"of\[1\]: must name one matrix of the model"),
        ("[{kind: singular_values, of: []}]", r"probes\[0\].of"),
        ("[{kind: sharpness, of: block.0}]", r"probes\[0\].of: must name trained parameters"),
        ("[{kind: norm, of: embedding}, {kind: norm, of: embedding}]", "norm of embedding is there already"),
        ("[norm]", r"probes\[0\]"),
    ],
)
def test_what_an_experiment_may_not_ask(wanted, said):
    with pytest.raises(ExperimentErrors, match=said):
        experiment(SIGNS, wanted)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("[margins, {kind: subspace_alignment, of: blocks.0.W_out, rank: 99}]", r"probes\[1\].* lower rank"),
        ("[{kind: singular_values, of: [blocks.0.heads.0.W_V, blocks.0.heads.0.W_V]}]", "their product needs as many"),
        ("[{kind: rank, of: a}]", r"probes\[0\].*a is not a single matrix"),
        ("[{kind: subspace_alignment, of: blocks.0.heads.0.W_V, sides: [input, output]}]", "take other sides"),
    ],
)
def test_what_the_shapes_do_not_allow_is_refused_before_the_run(tmp_path, wanted, said):
    asked = experiment(SIGNS, wanted, readout="causal: false, train_readout: true")
    with pytest.raises(ExperimentErrors, match=said):
        prepared(asked, problem(asked, tmp_path))


@pytest.mark.parametrize("key", ["probes", "events"])
def test_what_the_samples_do_not_allow_is_an_error_of_the_experiment(tmp_path, key):
    """It ended the command as an unexpected error."""
    text = EXPERIMENT.replace("{TASK}", "{kind: next_token, samples: 4, length: 2, vocabulary: 9}")
    text = text.replace("{LOSS}", "cross_entropy").replace("READOUT", "causal: true, readout: each")
    crossing = "{kind: crossing, probe: induction_score, of_entries: max, value: 0.4}"
    text = text.replace("events: []", f"events: [{crossing if key == 'events' else ''}]")
    text = text.replace("{PROBES}", "[induction_score]" if key == "probes" else "[]")
    asked = load_text(text, origin="x.yaml")
    with pytest.raises(ExperimentErrors, match=rf"{key}\[0\]: induction_score: no word occurs a second time"):
        prepared(asked, problem(asked, tmp_path))


@pytest.mark.parametrize("wanted", ["margins", "induction_score"])
def test_numbers_have_no_words_and_no_margins(wanted):
    with pytest.raises(ExperimentErrors, match=rf"must not be {wanted} for the task in_context_regression"):
        experiment("{kind: in_context_regression, samples: 4, examples: 3, features: 2}", f"[{wanted}]", "squared",
                   "readout: last")  # fmt: skip
