"""Nichani, Damian, Lee (ICML 2024), Edelman et al. (NeurIPS 2024): two attention layers learn the causal parent."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

import flowsim
from flowsim.claims import Finding, Measured, near, resting_places

SOURCE = "Nichani, Damian, Lee, ICML 2024; Edelman, Edelman, Goel, Malach, Tsilivis, NeurIPS 2024"


@flowsim.kind("problem", "nichani2024")
class Nichani2024(flowsim.config.ProblemKind):
    """Two attention layers on Markov chains in context: the exact cross-entropy of the word after `length` words.

    Every sequence is of a chain of its own, with rows from a Dirichlet prior and a uniform first word; the risk is the
    mean over all words^(length + 1) sequences, each with its probability. The first layer attends to the positions
    before, h_s = Σ_(j<s) softmax_j(A₁)_sj x_j; the second to words, logits = v Σ_s softmax_s(x_Tᵀ A₂ h_s) x_s less
    their mean. v starts at `start`, A₁ and A₂ at 0: uniform attention.
    """

    words: int = Field(default=2, ge=2, le=4, description="Size of the alphabet.")
    length: int = Field(default=7, ge=3, le=12, description="Words T of a sequence.")
    concentration: float = Field(default=0.1, gt=0, description="Of the Dirichlet prior of the chain's rows.")
    start: float = Field(default=1e-4, gt=0, description="v at t = 0.")
    attention_rate: float = Field(default=0.01, gt=0, description="Learning rate of A₁ and A₂, against 1 for v.")

    def sequences(self):
        """(count, length + 1) words, and the probability of each."""
        found = np.array(list(itertools.product(range(self.words), repeat=self.length + 1)))
        alpha, d, rows = self.concentration, self.words, np.arange(self.words ** (self.length + 1))
        counts = np.zeros((len(found), d, d))
        for before, after in itertools.pairwise(found.T):
            np.add.at(counts, (rows, before, after), 1)
        weight = gammaln(alpha * d) - gammaln(alpha * d + counts.sum(-1)) - d * gammaln(alpha)
        return found, np.exp(np.sum(weight + np.sum(gammaln(alpha + counts), -1), -1)) / d

    def one_hot(self):
        """(sequences, length, words) of the words that are seen."""
        return np.eye(self.words)[self.sequences()[0][:, :-1]]

    def first_layer(self, p):
        """Attention of every position to those before it; nothing for the first."""
        seen = jnp.tril(jnp.ones((self.length,) * 2, bool), -1)
        scores = jnp.where(seen, np.sqrt(self.attention_rate) * p["A1"], -1e30)
        return jax.nn.softmax(scores, axis=1) * seen

    def risk(self, p):
        found, probability = self.sequences()
        x = jnp.asarray(self.one_hot())
        hidden = jnp.einsum("sj,njd->nsd", self.first_layer(p), x)
        scores = jnp.einsum("nd,de,nse->ns", x[:, -1], np.sqrt(self.attention_rate) * p["A2"], hidden)
        logits = p["v"] * jnp.einsum("ns,nsd->nd", jax.nn.softmax(scores, axis=1), x - 1 / self.words)
        taken = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(found[:, -1:]), axis=1)
        return -jnp.sum(jnp.asarray(probability) * taken[:, 0])

    def problem(self, key):
        start = {"A1": jnp.zeros((self.length,) * 2), "A2": jnp.zeros((self.words,) * 2)}
        return flowsim.Problem.from_loss(self.risk, {"v": jnp.asarray(self.start), **start})

    def least(self, attention):
        """The least cross-entropy of v Σ_s attention_s (x_s - 1/words) over v; attention: (sequences, length)."""
        found, probability = self.sequences()
        mean = np.einsum("ns,nsd->nd", attention, self.one_hot() - 1 / self.words)

        def risk(v):
            taken = np.take_along_axis(v * mean, found[:, -1:], axis=1)[:, 0]
            return float(probability @ (np.log(np.sum(np.exp(v * mean), axis=1)) - taken))

        return float(minimize_scalar(risk, bounds=(0.0, 100.0), method="bounded", options={"xatol": 1e-10}).fun)

    def unigram(self):
        """Of uniform attention: from how often each word occurs."""
        return self.least(np.full((self.words ** (self.length + 1), self.length), 1 / self.length))

    def bigram(self):
        """Of attention to the words that follow the last word where it occurred before, to all where it did not."""
        found, _ = self.sequences()
        after = np.zeros((len(found), self.length))
        after[:, 1:] = found[:, : self.length - 1] == found[:, self.length - 1 : self.length]
        total = after.sum(axis=1, keepdims=True)
        return self.least(np.where(total > 0, after / np.maximum(total, 1), 1 / self.length))

    def posterior(self):
        """Of the posterior mean, below which nothing can be."""
        rows = self.sequences()[1].reshape(-1, self.words)
        return float(-np.sum(rows * np.log(rows / rows.sum(axis=1, keepdims=True))))

    def claims(self, key):
        uniform, unigram = float(np.log(self.words)), self.unigram()

        def parent(p):
            return jnp.mean(jnp.diagonal(self.first_layer(p), -1)[1:])

        events = [
            flowsim.events.crossing(
                "unigram", lambda t, p: self.risk(p) - unigram - 0.05 * (uniform - unigram), direction="down"
            ),
            flowsim.events.crossing("parent", lambda t, p: parent(p) - 0.5, direction="up"),
        ]
        probes = {"first_layer": self.first_layer, "parent": parent}
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events)
        return [*self._stages(make, unigram), *self._parent(make)]

    def _stages(self, make, unigram):
        @make(
            id="uniform, then unigram",
            rule="the first within 0.1 %, the second within 1 % where the risk falls most slowly between two drops",
        )
        def plateau(evidence):
            """The cross-entropy starts at ln(words) and rests at that of the best unigram prediction."""
            time, risk = evidence.curve("loss")
            flat = resting_places(time, risk.value)
            count = Finding.compare(float(len(flat)), "==", 1.0)
            found = near(risk[0].named("cross-entropy at the start"), float(np.log(self.words)), 1e-3)
            found &= Finding({"plateaus between drops": float(len(flat))}, count.conditions)
            return found & near(risk[flat[0]].named("plateau"), unigram, 0.01) if len(flat) else found

        @make(
            id="bigram at the end", rule="the final cross-entropy is within 1 % of it, and above the posterior mean's"
        )
        def bigram(evidence):
            """The last stage is the best bigram prediction: an induction head."""
            final = evidence.value("loss")
            return near(final, self.bigram(), 0.01) & Finding.of(final > self.posterior())

        return [plateau, bigram]

    def _parent(self, make):
        @make(
            id="attention finds the parent",
            rule="at every position from the third on it gets more than the others, and more than ½ on average",
        )
        def found(evidence):
            """The first layer attends to the position before."""
            layer = evidence.value("first_layer")
            rows = range(2, self.length)
            ahead = [layer[s, s - 1].value - np.max(layer.value[s, : s - 1]) for s in rows]
            error = max(float(np.max(layer.error[s])) for s in rows)
            lead = Measured(min(ahead), 2 * error, "least lead of the parent's attention")
            return Finding.of(lead > 0.0, lead) & Finding.compare(evidence.value("parent"), ">", 0.5)

        @make(
            id="the parent comes late",
            rule="its mean passes ½ later than 10 times the time at which 95 % of the way to the unigram is made",
        )
        def late(evidence):
            """Attention to the parent forms after the unigram stage, not with it."""
            ratio = (evidence.time("parent") / evidence.time("unigram")).named("time of the parent / of the unigram")
            return Finding.compare(ratio, ">", 10.0)

        return [found, late]
