"""Models: the paper's as a special case, closed forms of linear networks, invariants of every head and layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import flowsim
from flowsim.certificate import find_products
from flowsim.models import MLP, CooccurrenceTransformer, DeepLinear, Transformer


def key(seed=0):
    return jax.random.key(seed)


def test_one_layer_is_the_papers_model():
    """Outputs and gradients of `Transformer` with one layer, one head, linear neurons are the paper's."""
    task = flowsim.tasks.cooccurrence(samples=12, length=5, vocabulary=20, key=key(0))
    paper = CooccurrenceTransformer(vocabulary=20, width=6, neurons=9, key=key(1))
    general = Transformer(vocabulary=20, width=6, neurons=9, key=key(2))
    general = eqx.tree_at(
        lambda m: (*_paper_arrays(m), m.a), general, (paper.W, paper.W_V, paper.W_K, paper.W_Q, paper.a)
    )
    ours, theirs = flowsim.Problem(general, task), flowsim.Problem(paper, task)
    predictions = theirs.predictions(theirs.parameters)
    np.testing.assert_allclose(ours.predictions(ours.parameters), predictions, rtol=1e-12, atol=1e-14)
    (velocity, rate), (expected, expected_rate) = ours.velocity(ours.parameters), theirs.velocity(theirs.parameters)
    names = ("W", "W_V", "W_K", "W_Q")
    for got, name in zip(_paper_arrays(velocity), names, strict=True):
        np.testing.assert_allclose(got, getattr(expected, name), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(rate, expected_rate, rtol=1e-12)
    assert len(jax.tree.leaves(ours.parameters)) == 4
    np.testing.assert_allclose(general.attention(task.tokens[0])[0, 0], paper.attention(task.tokens[0]), rtol=1e-12)


def _paper_arrays(m):
    head = m.blocks[0].heads[0]
    return head.W_O, head.W_V, head.W_K, head.W_Q


def words(**options):
    """A transformer of two layers and two heads on a small language, as a problem."""
    options = {"width": 4, "neurons": 5, "layers": 2, "heads": 2, "readout": "last"} | options
    task = flowsim.tasks.next_token(samples=16, length=5, vocabulary=6, predict="last", key=key(3))
    model = Transformer(vocabulary=6, outputs=6, length=5, key=key(4), **options)
    return flowsim.Problem(model, task, loss=flowsim.losses.cross_entropy)


OPTIONS = {
    "relu": {"activation": "relu"},
    "gelu residual": {"activation": "gelu", "residual": True, "train_readout": True},
    "layer norm": {"activation": "relu", "residual": True, "layer_norm": True},
    "attention only": {"neurons": None, "residual": True},
    "causal one-hot": {"causal": True, "position": "one_hot", "activation": "tanh"},
    "learned merged linear": {
        "embedding": "learned", "position": "learned", "merged": True, "attention": "linear", "causal": True,
    },
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_of_every_option(name):
    """Each option makes a model whose velocity is minus the slope of finite differences."""
    problem = words(**OPTIONS[name])
    direction = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), problem.parameters)
    velocity, _ = problem.velocity(problem.parameters)

    def moved(s):
        return jax.tree.map(lambda x, d: x + s * d, problem.parameters, direction)

    h = 1e-5
    slope = (problem.risk(moved(h)) - problem.risk(moved(-h))) / (2 * h)
    inner = sum(jnp.sum(v * d) for v, d in zip(*map(jax.tree.leaves, (velocity, direction)), strict=True))
    np.testing.assert_allclose(-inner, slope, rtol=1e-6, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("heads", [1, 2])
def test_invariants_of_every_head_and_layer_are_found(heads):
    """Key with query and value with output, for each head of each layer, without being named; they are kept, too."""
    problem = words(heads=heads, activation="gelu")
    expected = {
        f"blocks.{layer}.heads.{head}.{first}·blocks.{layer}.heads.{head}.{second}"
        for layer in range(2)
        for head in range(heads)
        for first, second in (("W_K", "W_Q"), ("W_O", "W_V"))
    }
    assert {p.name for p in find_products(problem)} == expected
    if heads == 2:
        result = flowsim.simulate(problem, t1=5.0, rtol=1e-9, atol=1e-11, certificate=True, save_times=[0.0, 5.0])
        assert set(result.certificate.invariants) == expected
        assert max(result.certificate.invariants.values()) < 1e-7
        assert result.certificate.relative_error < 1e-5


def test_linear_neurons_add_their_products():
    """Without a nonlinearity the neurons enter as products as well: with the heads before and the heads after them."""
    names = {p.name for p in find_products(words(heads=1, activation="linear", train_readout=True))}
    assert "blocks.0.heads.0.W_O·blocks.0.W_out" in names
    assert "blocks.1.heads.0.W_O·a" in names


def test_what_a_causal_mask_hides_changes_nothing():
    model = Transformer(vocabulary=6, width=4, neurons=5, layers=2, causal=True, readout="each", outputs=6, key=key(0))
    first, second = jnp.array([1, 2, 3, 4]), jnp.array([1, 2, 5, 0])
    np.testing.assert_allclose(model(first)[:2], model(second)[:2], rtol=1e-12)
    assert np.all(np.triu(np.ones((4, 4)), 0) >= (np.asarray(model.attention(first)[0, 0]) > 0))
    np.testing.assert_allclose(np.sum(model.attention(first), axis=2), 1.0, rtol=1e-12)


def test_without_positions_order_is_not_seen():
    tokens, turned = jnp.array([1, 2, 3, 4]), jnp.array([3, 1, 4, 2])
    plain = Transformer(vocabulary=6, width=4, neurons=5, layers=2, key=key(0))
    placed = Transformer(vocabulary=6, width=4, neurons=5, layers=2, position="one_hot", length=4, key=key(0))
    np.testing.assert_allclose(plain(tokens), plain(turned), rtol=1e-12)
    assert abs(placed(tokens) - placed(turned)) > 1e-6


def balanced(model, seed):
    """A DeepLinear with two layers whose W_2ᵀW_2 = W_1 W_1ᵀ."""
    hidden, features = model.layers[0].shape
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(features, features)))[0] for _ in range(2))
    middle = np.linalg.qr(rng.normal(size=(hidden, features)))[0]
    values = np.diag(np.linspace(0.2, 0.6, features))
    first, second = middle @ values @ right.T, left @ values @ middle.T
    return eqx.tree_at(lambda m: m.layers, model, (jnp.asarray(first), jnp.asarray(second)))


def test_deep_linear_flow_is_its_closed_form():
    """Two layers, whitened inputs, any balanced start (Fukumizu 1998; Braun et al. 2022, Theorem 3.1):

    with Q = [W_1ᵀ; W_2] and F = [[0, Aᵀ], [A, 0]],
    Q Qᵀ(t) = e^{Ft} Q₀ [I + Q₀ᵀ (e^{Ft} F⁻¹ e^{Ft} - F⁻¹) Q₀ / 2]⁻¹ Q₀ᵀ e^{Ft}; its lower left block is W_2 W_1.
    """
    features, t1 = 3, 2.0
    task = flowsim.tasks.regression(
        samples=12, features=features, outputs=features, spectrum=(3.0, 1.5, 0.5), whitened=True, key=key(5)
    )
    model = balanced(DeepLinear(sizes=(features, 4, features), key=key(6)), 7)
    x, y = np.asarray(task.tokens), np.asarray(task.labels)
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(features), atol=1e-13)
    A = y.T @ x / len(x)
    F = np.block([[np.zeros((features, features)), A.T], [A, np.zeros((features, features))]])
    first, second = (np.asarray(w) for w in model.layers)
    Q = np.concatenate([first.T, second])
    E, inverse = expm(F * t1), np.linalg.inv(F)
    middle = np.linalg.inv(np.eye(Q.shape[1]) + Q.T @ (E @ inverse @ E - inverse) @ Q / 2)
    product = (E @ Q @ middle @ Q.T @ E)[features:, :features]
    problem = flowsim.Problem(model, task, loss=flowsim.losses.squared)
    result = flowsim.simulate(problem, t1=t1, rtol=1e-12, atol=1e-14, save_times=[0.0, t1])
    np.testing.assert_allclose(result.model.product(), product, rtol=0, atol=1e-9)
    assert np.linalg.norm(product - second @ first) > 1


def test_deep_linear_modes_grow_as_logistic_curves():
    """Aligned start, N layers: dσ/dt = N σ^{2-2/N} (s - σ); for N = 2 σ(t) = s/(1 + (s/σ₀ - 1) e^{-2st})."""
    s, start, t1 = 2.0, 0.01, 3.0
    x = jnp.eye(2) * jnp.sqrt(2.0)
    labels = x @ jnp.diag(jnp.array([s, 0.0])).T
    task = eqx.tree_at(lambda t: (t.tokens, t.labels), flowsim.tasks.regression(
        samples=2, features=2, outputs=2, key=key(0)), (x, labels))  # fmt: skip
    aligned = jnp.diag(jnp.array([np.sqrt(start), 0.0]))
    model = eqx.tree_at(lambda m: m.layers, DeepLinear(sizes=(2, 2, 2), key=key(1)), (aligned, aligned))
    problem = flowsim.Problem(model, task, loss=flowsim.losses.squared)
    result = flowsim.simulate(problem, t1=t1, rtol=1e-12, atol=1e-14, save_times=[0.0, t1])
    exact = s / (1 + (s / start - 1) * np.exp(-2 * s * t1))
    np.testing.assert_allclose(result.model.product()[0, 0], exact, rtol=1e-9)


def test_last_layer_of_an_mlp_is_linear_regression():
    """With all but the last layer frozen the flow is that of least squares on the features, a matrix exponential."""
    task = flowsim.tasks.regression(samples=10, features=3, outputs=2, teacher="tanh", noise=0.1, key=key(0))
    model = MLP(sizes=(3, 6, 2), activation="tanh", bias=False, key=key(1))
    problem = flowsim.Problem(model, task, loss=flowsim.losses.squared)
    t1, flow = 4.0, flowsim.flows.frozen(["layers.0"])
    result = flowsim.simulate(problem, t1=t1, flow=flow, rtol=1e-12, atol=1e-14, save_times=[0.0, t1])
    h = np.tanh(np.asarray(task.tokens) @ np.asarray(model.layers[0]).T)
    C, D = h.T @ h / len(h), np.asarray(task.labels).T @ h / len(h)
    limit = np.linalg.solve(C.T, D.T).T
    exact = limit + (np.asarray(model.layers[1]) - limit) @ expm(-C * t1)
    np.testing.assert_allclose(result.model.layers[1], exact, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(result.model.layers[0], model.layers[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Transformer(width=4, neurons=3, key=key()), "either vocabulary"),
        (lambda: Transformer(vocabulary=5, width=4, heads=3, neurons=3, key=key()), r"divisible by heads.*take 6"),
        (lambda: Transformer(vocabulary=5, width=4, key=key()), "give neurons, or set residual"),
        (lambda: Transformer(vocabulary=5, width=4, neurons=2, position="learned", key=key()), "needs length"),
        (lambda: MLP(sizes=(2, 3), activation="relo", key=key()), "known are linear, relu"),
        (lambda: DeepLinear(sizes=(2,), key=key()), "at least an input and an output"),
    ],
)
def test_models_that_cannot_be_meant(make, message):
    with pytest.raises(ValueError, match=message):
        make()
