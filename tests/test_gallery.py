"""The gallery: its command, its fence, its closed forms against independent numerics, and every claim on a model that
breaks it."""

import ast
import json
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowsim import gallery
from flowsim.claims import Word, scalar_flow
from flowsim.config import load

from .gallery_runs import broken, judged

PAPERS = [paper.name for paper in gallery.papers()]
QUICK = ("saxe2014",)  # the others take minutes together
KEY = jax.random.key(5)
COMMAND = [sys.executable, "-c", "from flowsim.cli import main; main()"]


def flowsim(*arguments, cwd=None):
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd)
    assert "Traceback" not in done.stderr
    return done


def slow_but(quick):
    return [pytest.param(n, marks=() if n in quick else pytest.mark.slow) for n in PAPERS]


def test_twelve_papers():
    marked = {"saxe2014", "zhang2025", "makkuva2024", "kunin2024", "simon2023", "he2026", "woodworth2020", "yang2024"}
    assert marked < set(PAPERS)
    assert len(PAPERS) >= 12


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_is_complete(name):
    paper = gallery.paper(name)
    paper.register()
    assert load(paper.experiment, []).name == name
    assert paper.title
    assert "20" in paper.source
    for part in (r"What the papers? says?", "What is measured", "Where it fails"):
        assert re.search(part, paper.page)
    assert "figure.png" in paper.page
    assert (paper.folder / "figure.png").stat().st_size < 150_000


@pytest.mark.parametrize("name", [n for n in PAPERS if gallery.paper(n).plugin])
def test_a_paper_imports_what_a_plugin_may(name):
    """Public names of flowsim, libraries that it depends on, and modules beside it of which the same holds."""
    for path in gallery.paper(name).folder.glob("*.py"):
        assert_imports(path)


def assert_imports(path):
    tree = ast.parse(path.read_text(encoding="utf8"))
    allowed = {"flowsim", "jax", "numpy", "scipy", "equinox", "pydantic", "functools", "itertools", "math"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            assert (path.parent / f"{node.module}.py").is_file()
            continue
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for imported in names:
            assert imported.split(".")[0] in allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert not node.module.startswith("flowsim.") or node.module == "flowsim.claims"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flowsim":
            assert not node.attr.startswith("_")


@pytest.mark.slow
def test_command(tmp_path):
    listed = json.loads(flowsim("gallery", "--json").stdout)
    assert [set(entry) for entry in listed["papers"]] == [{"name", "title", "source"}] * len(PAPERS)
    assert "saxe2014" in flowsim("gallery").stdout
    assert "experiment.yaml" in flowsim("gallery", "show", "saxe2014").stdout
    wrong = flowsim("gallery", "show", "saxe2041")
    assert (wrong.returncode, "did you mean 'saxe2014'?\n" in wrong.stderr) == (2, True)
    misspelt = flowsim("gallery", "verify", "saxe2014", "problem.strenghts=[1]", "--out", tmp_path / "a")
    assert (misspelt.returncode, "strengths" in misspelt.stderr) == (2, True)


@pytest.mark.slow
def test_verify_from_the_command_line_with_other_numbers(tmp_path):
    done = flowsim(
        "gallery", "verify", "saxe2014", "problem.strengths=[3, 1.5]", "problem.start=1.0e-5", "flow.t1=15.0",
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    found = {claim["id"]: claim for claim in content["claims"]}
    for name in ("strength of every mode", "half-times", "balance", "order of learning"):
        assert found[name]["verdict"] == "holds"
    assert found["strength of every mode"]["measured"]["strength: largest relative distance"] < 1e-7
    assert found["half-times"]["errors"]["time of half_0"] > 0
    half = np.log(3 / 1e-5 - 1) / 6
    np.testing.assert_allclose(found["half-times"]["measured"]["time of half_0"], half, rtol=1e-10)
    assert (tmp_path / "run" / "report.html").is_file()
    used = flowsim("gallery", "verify", "saxe2014", "--out", tmp_path / "run")
    assert used.returncode == 2


def test_the_absolute_tolerance_follows_the_start():
    """As far below rtol times the start's size as it is below rtol by default, unless it is given."""
    paper = gallery.paper("simon2023")
    paper.register()
    for changes, atol in (
        ([], 1e-17),
        (["problem.start=1.0e-9"], 1e-22),
        (["problem.start=1.0e-9", "solver.rtol=1.0e-8"], 1e-19),
        (["problem.start=100.0", "solver.rtol=1.0e-8"], 1e-10),
        (["problem.start=1.0e-9", "solver.atol=1.0e-12"], 1e-12),
    ):
        assert load(paper.experiment, changes).solver.atol == pytest.approx(atol, rel=1e-12, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_but(QUICK))
def test_broken_models_break_the_claims(name):
    if name == "yang2024":
        pytest.skip("its claims are broken one by one in test_theory.py")
    seen = set()
    for overrides, ids in broken(name):
        found = judged(name, overrides)
        for one in ids:
            assert found[one].word == Word.FAILS, (one, found[one].finding)
        seen |= set(ids)
    assert seen == set(found), "a claim that no broken model breaks"


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_the_claims_hold(name):
    found = judged(name)
    if name != "yang2024":  # of whose 22 claims some need several sizes
        assert {one: verdict.word for one, verdict in found.items()} == dict.fromkeys(found, Word.HOLDS)


# Unusual numbers: modes that are equal, tiny and large starts, aligned phases, small and prime p.
OTHERS = {
    "saxe2014": [
        ["problem.strengths=[3, 3, 1]", "problem.start=1.0e-9"],
        ["problem.strengths=[4, 1]", "problem.start=2.0", "problem.depth=3"],
    ],
    "simon2023": [["problem.eigenvalues=[4, 4, 1]", "problem.start=1.0e-2"], ["problem.start=1.0e-9"]],
    "kunin2024": [
        ["problem.deltas=[-9, 9]", "problem.size=1.0e-6"],
        ["problem.overlap=0.0", "problem.beta=[1, 2, 3, 4, 5, 6]"],
    ],
    "makkuva2024": [
        ["problem.p=0.7", "problem.q=0.8", "problem.starts=[[0.5, 0.5], [0.2, -0.9], [-0.3, 0.2], [0.01, 0.01]]"]
    ],
    "he2026": [["problem.p=5", "problem.starts=[[0.2, 0.1, 0.0], [0.1, 0.2, 2.0]]"]],
    "woodworth2020": [["problem.samples=4", "problem.scales=[2.0, 0.01]"]],
    "zhang2025": [["problem.covariance=[0.5, 0.3, 0.2]", "problem.examples=15"]],
    "zhang2024": [["problem.covariance=[1.5, 0.7]", "problem.examples=8"]],
    "boursier2025": [["problem.scales=[1.0e-3, 1.0e-8]", "problem.separation=0.3"]],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "overrides"), [(n, o) for n, many in OTHERS.items() for o in many])
def test_other_parameters(name, overrides):
    found = judged(name, overrides)
    assert Word.FAILS not in {verdict.word for verdict in found.values()}
    for verdict in found.values():
        for label, value in verdict.finding.measured.items():
            if label.endswith("largest distance / scale"):
                assert value < 1e-7
                assert verdict.word == Word.HOLDS


# The closed forms, against numerics that share nothing with the runs.


def rate_of(problem):
    """The flow of a problem as SciPy takes it."""
    from jax.flatten_util import ravel_pytree

    flat, back = ravel_pytree(problem.parameters)
    gradient = jax.jit(jax.grad(lambda v: problem.risk(back(v))))
    return np.asarray(flat), back, lambda _, v: -np.asarray(gradient(v))


def solved(problem, times):
    start, back, rate = rate_of(problem)
    run = solve_ivp(rate, (0.0, times[-1]), start, "DOP853", t_eval=times, rtol=1e-11, atol=1e-13)
    return [back(jnp.asarray(v)) for v in run.y.T]


def test_scalar_flow():
    times = np.array([0.0, 0.3, 2.0])
    np.testing.assert_allclose(scalar_flow(lambda x: -x, [1.0, 2.0], times)[:, 1], 2 * np.exp(-times), rtol=1e-13)


@pytest.mark.parametrize(
    ("depth", "start", "strengths"),
    [(2, 1e-3, (3.0, 1.0)), (3, 1e-2, (3.0, 1.0)), (5, 1e-2, (2.0,)), (2, 1e-7, (3.0, 3.0, 1.5)), (4, 2.0, (3.0, 1.0))],
)
def test_deep_linear_closed_forms(depth, start, strengths):
    """One mode, equal modes, a tiny start, one beyond the final strength."""
    module, times = gallery.module("saxe2014"), np.array([0.5, 1.5, 4.0])
    paper = module.Saxe2014(strengths=strengths, start=start, depth=depth)
    R = paper.rotations(KEY)
    found = [np.diagonal(R[-1].T @ module.product(W) @ R[0]) for W in solved(paper.problem(KEY), times)]
    np.testing.assert_allclose(paper.strength(times), found, rtol=1e-7)


@pytest.mark.parametrize(
    "given",
    [{"rates": (1.0, 1.0)}, {"rates": (0.5, 3.0)}, {"beta": (1.5,)}, {"size": 1e-6, "overlap": -0.5}, {"overlap": 0.0}],
)
def test_unbalanced_neuron_closed_form(given):
    times = np.array([0.1, 1.0, 3.0])
    paper = gallery.module("kunin2024").Kunin2024(**{"beta": (1.0, 0.7), "deltas": (-2.0, 0.0, 1.0)} | given)
    a, w = paper.path(KEY, times)
    found = solved(paper.problem(KEY), times)
    np.testing.assert_allclose(a, [p["a"] for p in found], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(w, [p["w"] for p in found], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("gamma", "start"), [((3.0, 1.0), 1e-2), ((2.0,), 1e-6), ((4.0, 4.0, 1.0), 0.6)])
def test_self_supervised_closed_form(gamma, start):
    paper, times = gallery.module("simon2023").Simon2023(eigenvalues=gamma, start=start), np.array([0.1, 0.4, 1.2])
    _, V = paper.rotations(KEY)
    found = [np.diagonal(V.T @ W.T @ W @ V) for W in solved(paper.problem(KEY), times)]
    np.testing.assert_allclose(paper.squares(times), found, rtol=1e-7)


@pytest.mark.parametrize(
    "start", [(0.4, 0.3, 0.3), (0.4, 0.3, 2.6), (0.1, 0.5, 2.0), (0.5, 0.2, 0.0), (0.3, 0.05, np.pi / 2)]
)
def test_orbits_of_one_frequency(start):
    orbit = gallery.module("he2026").Orbit(*start, 3.0)
    paper = gallery.module("he2026").He2026(p=3.0, starts=(start,))
    times = np.array([0.3, 0.7, 0.9]) * orbit.blow_up
    beta = [float(jnp.linalg.norm(x["w"])) for x in solved(paper.problem(KEY), times)]
    np.testing.assert_allclose(orbit.beta(times, np.array(beta) * (1 + 1e-6)), beta, rtol=1e-7)


def test_markov_chain_by_hand():
    """The slope against differences, the optimal bias against its own condition, the limit against SciPy."""
    paper = gallery.module("makkuva2024").Makkuva2024(p=0.2, q=0.4, starts=((0.5, 0.3), (0.9, -1.0), (0.3, -1.0)))
    h = 1e-6
    for u in (-2.0, 0.3, 1.7):
        slope = (paper.cross_entropy(u + h, np) - paper.cross_entropy(u - h, np)) / (2 * h)
        np.testing.assert_allclose(paper.slope(u), slope, rtol=1e-6, atol=1e-9)
        at_zero, at_one = (1 / (1 + np.exp(-(paper.bias(u, np) + s * u / 2))) for s in (-1, 1))
        np.testing.assert_allclose(0.4 / 0.6 * at_zero + 0.2 / 0.6 * at_one, 0.2 / 0.6)
    end = solved(paper.problem(KEY), np.array([1500.0]))[0]
    exact = np.array([paper.limit(*start) for start in paper.starts])
    np.testing.assert_allclose(np.stack([end["e"], end["w"]], axis=1), exact, atol=1e-6)
    assert [paper.reaches_global(*start) for start in paper.starts] == [True, True, False]


@pytest.mark.parametrize("name", ["zhang2025", "zhang2024"])
def test_population_risk_against_drawn_prompts(name):
    module, N, count = gallery.module(name), 6, 100_000
    paper = (module.Zhang2025 if name == "zhang2025" else module.Zhang2024)(covariance=(0.7, 0.3), examples=N)
    rng = np.random.default_rng(0)
    U = np.asarray(paper.rotation(KEY))
    root = U * np.sqrt([0.7, 0.3])
    x = rng.normal(size=(count, N + 1, 2)) @ root.T
    w = rng.normal(size=(count, 2))
    y = np.einsum("sni,si->sn", x, w)
    A = rng.normal(size=(2, 2))
    guess = np.einsum("sn,sni,ij,sj->s", y[:, :N], x[:, :N], A, x[:, N]) / N
    squares = (y[:, N] - guess) ** 2 * (1.0 if name == "zhang2025" else 0.5)
    assert abs(np.mean(squares) - float(paper.risk(jnp.asarray(A), KEY))) < 4 * np.std(squares) / np.sqrt(count)


def test_plateau_heights():
    paper = gallery.module("zhang2025").Zhang2025()
    np.testing.assert_allclose(paper.plateaus(), [1, 0.64058, 0.37737, 0.20980, 0.13600], atol=1e-5)


def test_implicit_bias_is_a_minimum_among_interpolators():
    paper = gallery.module("woodworth2020").Woodworth2020(samples=3, inputs=6)
    X, y = (np.asarray(x) for x in paper.data(KEY))
    rng = np.random.default_rng(0)
    for scale in (2.0, 0.05):
        beta, width = paper.limit(KEY, scale), 2 * scale**2

        def potential(b, width=width):
            return np.sum(b * np.arcsinh(b / width) - np.sqrt(b**2 + width**2))

        np.testing.assert_allclose(X @ beta, y, atol=1e-9)
        for _ in range(20):
            away = rng.normal(size=6)
            away -= np.linalg.lstsq(X, X @ away, rcond=None)[0]
            assert potential(beta + 0.05 * away) > potential(beta)


def test_separator_satisfies_its_optimality_conditions():
    paper = gallery.module("tarzanagh2023").Tarzanagh2023()
    X, z = np.asarray(paper.data(KEY)[0]), paper.separator(KEY)
    gaps = (X[:, :1] - X[:, 1:]).reshape(-1, X.shape[-1])
    margins = gaps @ z
    assert np.min(margins) > 1 - 1e-9
    active = gaps[margins < 1 + 1e-7]
    weights = np.linalg.lstsq(active.T, z, rcond=None)[0]
    np.testing.assert_allclose(active.T @ weights, z, atol=1e-9)
    assert np.min(weights) > -1e-9


def test_network_of_order_two_by_hand():
    """The exact test loss against drawn inputs, and the linearized network against a flow of large α."""
    module = gallery.module("kumar2024")
    paper = module.Kumar2024(scales=(1e4, 1.0), inputs=4, samples=9, neurons=5)
    (X, y, beta), W0 = paper.data(KEY), np.asarray(paper.start(KEY))
    end = solved(paper.problem(KEY), np.array([20.0]))[0]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200_000, 4)) / 2

    def network(W, x):
        z = x @ W.T
        return np.mean(z + 0.5 * paper.epsilon * z**2, axis=1)

    for k, alpha in enumerate(paper.scales):
        W = np.asarray(end[k])
        train, test = (float(v) for v in paper.errors(KEY, end[k], alpha, (X, y, beta)))
        squares = 0.5 * (alpha * (network(W, x) - network(W0, x)) - 0.5 * (x @ np.asarray(beta)) ** 2) ** 2
        assert abs(np.mean(squares) - test) < 4 * np.std(squares) / np.sqrt(len(x))
        exact = 0.5 * np.mean((alpha * (network(W, np.asarray(X)) - network(W0, np.asarray(X))) - np.asarray(y)) ** 2)
        np.testing.assert_allclose(train, exact, rtol=1e-6)
    np.testing.assert_allclose(
        float(paper.errors(KEY, end[0], 1e4, (X, y, beta))[1]), paper.linearized(KEY, 20.0), rtol=1e-2
    )


def test_stages_of_induction_by_hand():
    """Probabilities of sequences from the Dirichlet-multinomial, one word at a time; heights in their order."""
    paper = gallery.module("nichani2024").Nichani2024(words=3, length=4, concentration=0.4)
    sequences, probability = paper.sequences()
    np.testing.assert_allclose(probability.sum(), 1.0)
    total = 0.0
    for words, p in zip(sequences, probability, strict=True):
        expected, last = 1 / 3, 1.0
        for i in range(1, 5):
            seen = [words[j + 1] for j in range(i - 1) if words[j] == words[i - 1]]
            last = (seen.count(words[i]) + 0.4) / (len(seen) + 1.2)
            expected *= last
        np.testing.assert_allclose(p, expected, rtol=1e-12)
        total -= p * np.log(last)
    np.testing.assert_allclose(paper.posterior(), total)
    assert paper.posterior() < paper.bigram() < paper.unigram() < np.log(3)
    start = paper.problem(KEY).parameters
    np.testing.assert_allclose(float(paper.risk({**start, "v": 0.0})), np.log(3))
    uniform = [float(paper.risk({**start, "v": v})) for v in np.linspace(0.0, 10.0, 200)]
    np.testing.assert_allclose(min(uniform), paper.unigram(), rtol=1e-3)


def test_early_path_of_a_neuron():
    """The closed form between kinks, and their times, against an integration of w' = a D(w), a' = wᵀD(w)."""
    paper = gallery.module("boursier2025").Boursier2025(separation=0.4, samples=5, inputs=3)
    x, sign, cone, labels = (np.asarray(value) for value in paper.data(KEY))
    times = np.array([0.3, 2.0, 6.0, 15.0])
    for neurons, inputs, g in ((paper.early(KEY)[0], x, sign / 10), (paper.early(KEY)[-1], cone, labels / 5)):
        for one in neurons:
            _, w, a, _ = one.pieces[0]

            def rate(_, v, inputs=inputs, g=g):
                D = (g * (inputs @ v[:-1] > 0)) @ inputs
                return np.append(v[-1] * D, v[:-1] @ D)

            run = solve_ivp(
                rate, (0.0, 15.0), np.append(w, a), "RK45", t_eval=times, rtol=1e-9, atol=1e-9 * abs(a), max_step=0.01
            )
            apart = np.linalg.norm(run.y[:-1].T - one.at(times), axis=1)
            assert np.all(apart < 1e-3 * np.linalg.norm(run.y[:-1], axis=0))
            assert len(one.kinks) == np.count_nonzero((inputs @ w > 0) != (inputs @ run.y[:-1, -1] > 1e-6 * abs(a)))
    assert not any(one.rate for one in paper.early(KEY)[-1][1::2])  # those with a < 0 die
    assert all(not np.any(one.limit) or abs(np.linalg.norm(one.limit) - 1) < 1e-12 for one in paper.early(KEY)[0])
