"""Every standard probe, and those that the paper's claims need, against plain NumPy at a point off the start."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import probes
from flowsim.moment import Lift, Moment

VOCABULARY, WIDTH, NEURONS = 7, 5, 4
RNG = np.random.default_rng(3)


def word_problem():
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=VOCABULARY, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(
        vocabulary=VOCABULARY, width=WIDTH, neurons=NEURONS, key=jax.random.key(1)
    )
    return flowsim.Problem(model, task)


def moved(problem):
    """A point off the start; W moves along a alone, as it does on the flow."""
    here = jax.tree.map(lambda x: x + jnp.asarray(0.4 * RNG.normal(size=x.shape)), problem.parameters)
    if problem.is_word_problem:
        along = np.outer(problem.remainder.a, 0.4 * RNG.normal(size=WIDTH))
        here = eqx.tree_at(lambda p: p.W, here, problem.parameters.W + along)
    return here


@eqx.filter_jit
def _measured(chosen, problem, here):
    return probes.measure_all(chosen, Moment(problem, jnp.asarray(0.7), here, Lift(problem, None)))


def measured(problem, here, *more):
    return jax.tree.map(np.asarray, _measured((*probes.standard(problem), *more), problem, here))


class Words:
    """The paper's model, loss, gradient and probes by hand."""

    def __init__(self, problem, parameters):
        task = problem.samples
        self.tokens, self.labels, self.groups = (np.asarray(x) for x in (task.tokens, task.labels, task.groups))
        self.a = np.asarray(problem.remainder.a)
        self.W, self.V, self.K, self.Q = (np.asarray(getattr(parameters, k)) for k in ("W", "W_V", "W_K", "W_Q"))

    def with_weights(self, W, V, K, Q):
        new = object.__new__(Words)
        new.__dict__ = self.__dict__ | {"W": W, "V": V, "K": K, "Q": Q}
        return new

    @property
    def G(self):
        return self.a @ self.W @ self.V

    def attention(self, words):
        scores = np.array([[self.K[:, k] @ self.Q[:, q] for q in words] for k in words]) / np.sqrt(WIDTH)
        return np.exp(scores) / np.exp(scores).sum(axis=0)

    @property
    def margins(self):
        return np.array(
            [y * sum(self.G[words] @ self.attention(words)) for words, y in zip(self.tokens, self.labels, strict=True)]
        )

    @property
    def g(self):
        return 1 / (1 + np.exp(self.margins))

    def by_group(self, values, mean=False):
        parts = [values[self.groups == k] for k in range(4)]
        return np.array([x.mean() if mean and len(x) else x.sum() for x in parts])

    @property
    def losses(self):
        return np.log1p(np.exp(-self.margins))

    def velocity(self):
        """Specification section 4."""
        dG, dS = np.zeros(VOCABULARY), np.zeros((VOCABULARY, VOCABULARY))
        for words, y, g in zip(self.tokens, self.labels, self.g, strict=True):
            pattern, weight = self.attention(words), -y * g / len(self.tokens)
            for q, query in enumerate(words):
                output = self.G[words] @ pattern[:, q]
                for k, key in enumerate(words):
                    dG[key] += weight * pattern[k, q]
                    dS[key, query] += weight * pattern[k, q] * (self.G[key] - output)
        u = self.a @ self.W
        return (-np.outer(self.a, self.V @ dG), -np.outer(u, dG), -self.Q @ dS.T / np.sqrt(WIDTH),
                -self.K @ dS / np.sqrt(WIDTH))  # fmt: skip

    def rate(self, quantity, h=1e-5):
        """d/dt along the flow, by a central difference."""
        weights = (self.W, self.V, self.K, self.Q)
        up, down = (
            self.with_weights(*(w + s * h * v for w, v in zip(weights, self.velocity(), strict=True))) for s in (1, -1)
        )
        return (quantity(up) - quantity(down)) / (2 * h)

    def mean_probability(self):
        """Over all places of all samples that hold the key word and the query word."""
        total, count = np.zeros((3, 3)), np.zeros((3, 3))
        for words in self.tokens:
            pattern = self.attention(words)
            for k, key in enumerate(words):
                for q, query in enumerate(words):
                    if key < 3 and query < 3:
                        total[key, query] += pattern[k, q]
                        count[key, query] += 1
        return total / np.maximum(count, 1)


def drift(before, after):
    """‖C - C(0)‖ over the sizes of both terms, with C the difference of the pair (Frobenius)."""
    change = (after[0] - after[1]) - (before[0] - before[1])
    return np.linalg.norm(change) / (np.linalg.norm(after[0]) + np.linalg.norm(after[1]))


def largest(change):
    return np.max(np.abs(change))


def standard_of_words(now, start):
    speed = np.sqrt(sum(np.sum(v**2) for v in now.velocity()))
    keys, values = (
        [(x.K @ x.K.T, x.Q @ x.Q.T) for x in (start, now)],
        [(x.W.T @ x.W, x.V @ x.V.T) for x in (start, now)],
    )
    return {
        "loss": now.losses.mean(),
        "gradient_norm": speed,
        "min_margin": now.margins.min(),
        "loss_by_group": now.by_group(now.losses, mean=True),
        "gradient_sum": now.by_group(now.g),
        "attention_score": (now.K.T @ now.Q)[:3, :3],
        "attention_probability": now.mean_probability(),
        "mlp_alignment": now.G[:3],
        "mlp_alignment_random": np.quantile(now.G[3:], [0, 0.25, 0.5, 0.75, 1]),
        "value_gram": (now.V.T @ now.V)[:3, :3],
        "readout_squared": np.sum((now.a @ now.W) ** 2),
        "invariant_key_query": drift(*keys),
        "invariant_mlp_value": drift(*values),
    }


def of_the_claims(now, start):
    both, first, second, neither = now.by_group(now.g)
    s = now.by_group(now.g * (1 - now.g))  # ℓ'' of the logistic loss
    roots = np.roots([s[0] + s[1], s[2] + s[3] - s[0], -(s[1] + s[2] + 2 * s[0])])
    return {
        "balance_gap": (first - second) / min(first, second),
        "balance_ratio": (first + second + neither - both) / (both - first),
        "balance_root": roots.max(),
        "loss_by_group_rate": now.rate(lambda x: np.log(x.by_group(x.losses, mean=True))),
        "alignment_rate": now.rate(lambda x: x.G[:3]),
        "attention_score_rate": now.rate(lambda x: (x.K.T @ x.Q)[:3, :3]),
        "value_gram_rate": now.rate(lambda x: (x.V.T @ x.V)[:3, :3]),
        "readout_rate_defect": 0.0,  # Lemma: d‖u‖²/dt = (2 m1/n) Σ g y F, on every path
        "value_gram_drift": largest(now.V.T @ now.V - start.V.T @ start.V),
        "key_query_drift": largest(now.K.T @ now.Q - start.K.T @ start.Q),
        "key_gram_drift": largest(now.K.T @ now.K - start.K.T @ start.K),
        "query_gram_drift": largest(now.Q.T @ now.Q - start.Q.T @ start.Q),
        "neuron_drift": largest(now.W @ now.W.T - start.W @ start.W.T),
    }


def agree(found, expected):
    assert set(found) == set(expected), "a probe without an oracle, or an oracle without a probe"
    for name, value in expected.items():
        loose = name.endswith("_rate")  # its oracle is a difference quotient
        np.testing.assert_allclose(found[name], value, rtol=1e-7 if loose else 1e-10, atol=1e-10, err_msg=name)


def test_the_papers_model():
    problem = word_problem()
    here = moved(problem)
    signed = problem.remainder.a[:, None] * problem.parameters.W
    found = measured(problem, here, *probes.of_claims(problem, signed), probes.margins())
    now, start = Words(problem, here), Words(problem, problem.parameters)
    expected = standard_of_words(now, start) | of_the_claims(now, start)
    expected["margin"] = np.quantile(now.margins, [0, 0.25, 0.5, 0.75, 1])
    agree(found, expected)


def entropy(p):
    return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0))


def forward(model, words):
    """The attention of every head, and the stream after the last block: softmax over keys, residual, tanh neurons."""
    x, seen = np.asarray(model.embedding)[:, words].T, []
    length = len(words)
    for block in model.blocks:
        added = np.zeros_like(x)
        for head in block.heads:
            scores = np.full((length, length), -np.inf)
            for q in range(length):
                for k in range(q + 1):
                    scores[k, q] = (head.W_K @ x[k]) @ (head.W_Q @ x[q]) / np.sqrt(len(head.W_V))
            pattern = np.exp(scores) / np.exp(scores).sum(axis=0)
            seen.append(pattern)
            added += np.array([head.W_O @ head.W_V @ (pattern[:, q] @ x) for q in range(length)])
        x = x + added
        x = x + np.tanh(x @ np.asarray(block.W).T) @ np.asarray(block.W_out).T
    return seen, x


def test_a_transformer_of_two_layers():
    task = flowsim.tasks.next_token(samples=6, length=5, vocabulary=4, key=jax.random.key(2))
    model = flowsim.models.Transformer(
        vocabulary=4, outputs=4, layers=2, heads=2, width=6, neurons=3, activation="tanh", residual=True, causal=True,
        readout="each", train_readout=True, key=jax.random.key(3),
    )  # fmt: skip
    problem = flowsim.Problem(model, task, loss="cross_entropy")
    here = moved(problem)
    now = problem.model(here)
    patterns, logits = [], []
    for words in np.asarray(task.tokens):
        seen, x = forward(now, words)
        patterns.append(seen)
        logits.append(x @ np.asarray(now.a).T)
    patterns, logits, labels = np.array(patterns), np.array(logits), np.asarray(task.labels)
    right = np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    others = np.where(np.eye(4, dtype=bool)[labels], -np.inf, logits).max(-1)
    ranks = []
    for block in now.blocks:
        for head in block.heads:
            values = np.linalg.svd(np.asarray(head.W_K).T @ np.asarray(head.W_Q), compute_uv=False)
            ranks.append(np.exp(entropy(values / values.sum())))
    found = measured(problem, here)
    gradient = jax.grad(problem.risk)(here)  # its own oracle is in `test_models.py`
    agree(found, {
        "loss": np.mean(np.log(np.exp(logits).sum(-1)) - right),
        "gradient_norm": np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(gradient))),
        "min_margin": np.min(right - others),
        "attention_entropy": [
            np.mean([entropy(patterns[i, h, :, q]) for i in range(6) for q in range(5)]) for h in range(4)
        ],
        "effective_rank": ranks,
        "block_norm": [np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(b))) for b in now.blocks],
    })  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
def test_linear_attention_is_over_the_keys_that_are_seen(causal):
    model = flowsim.models.Transformer(
        features=3, width=4, heads=2, residual=True, attention="linear", causal=causal, key=jax.random.key(6)
    )
    x = RNG.normal(size=(5, 3))
    stream = x @ np.asarray(model.embedding).T
    for head, found in zip(model.blocks[0].heads, model.attention(jnp.asarray(x))[0], strict=True):
        for q in range(5):
            keys = range(q + 1) if causal else range(5)
            expected = [stream[k] @ head.W_K.T @ head.W_Q @ stream[q] / np.sqrt(2) / len(keys) for k in keys]
            np.testing.assert_allclose(found[: len(keys), q], expected, rtol=1e-12)
            assert not np.any(found[len(keys) :, q])


def test_a_deep_linear_network():
    task = flowsim.tasks.regression(samples=8, features=3, outputs=2, key=jax.random.key(4))
    problem = flowsim.Problem(flowsim.models.DeepLinear(sizes=(3, 5, 2), key=jax.random.key(5)), task, loss="squared")
    here = moved(problem)
    first, second = (np.asarray(x) for x in here.layers)
    residual = np.asarray(task.tokens) @ (second @ first).T - np.asarray(task.labels)
    slope = residual.T @ np.asarray(task.tokens) / 8
    agree(measured(problem, here), {
        "loss": np.mean(np.sum(residual**2, axis=1)) / 2,
        "gradient_norm": np.sqrt(np.sum((slope @ first.T) ** 2) + np.sum((second.T @ slope) ** 2)),
        "singular_values": np.linalg.svd(second @ first, compute_uv=False),
    })  # fmt: skip


@pytest.mark.parametrize("values", [[3.0, 3.0, 3.0], [5.0, 0.0, 0.0], [4.0, 2.0, 1.0]])
def test_effective_rank(values):
    share = np.array(values) / np.sum(values)
    expected = np.exp(entropy(share))
    np.testing.assert_allclose(probes.effective_rank(jnp.asarray(values)), expected, rtol=1e-14)


@pytest.mark.parametrize("samples", [60, 3000])
def test_the_risk_of_the_limit_of_infinite_width(samples):
    """Attention is uniform, so that F(X) is the sum of G over the words, however many samples are compiled at once."""
    keys = jax.random.split(jax.random.key(0), 2)
    task = flowsim.tasks.cooccurrence(samples=samples, length=5, vocabulary=32, key=keys[0])
    model = flowsim.init.theory(length=5)(flowsim.models.InfiniteWidthTransformer(vocabulary=32), key=keys[1])
    problem = flowsim.Problem(model, task)
    scores = np.asarray(model.G)[np.asarray(task.tokens)].sum(1)
    expected = np.logaddexp(0, -np.asarray(task.labels) * scores).mean()
    assert float(eqx.filter_jit(problem.risk)(problem.parameters)) == pytest.approx(expected, rel=1e-12)
