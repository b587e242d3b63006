"""Nichani, Damian, Lee (ICML 2024), Edelman et al. (NeurIPS 2024): two attention layers learn the causal parent."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

import flowsim

SOURCE = "Nichani, Damian, Lee, ICML 2024; Edelman, Edelman, Goel, Malach, Tsilivis, NeurIPS 2024"


@flowsim.kind("problem", "nichani2024")
class Nichani2024(flowsim.config.ProblemKind):
    """Two attention layers on Markov chains in context: the exact cross-entropy of the word after `length` words.

    Every sequence is of a chain of its own, with rows from a Dirichlet prior and a uniform first word; the risk is the
    mean over all words^(length + 1) sequences, each with its probability. The first layer attends to positions,
    h_s = Σ_(j≤s) softmax_j(A₁)_sj x_j; the second to words, logits = v Σ_s softmax_s(x_Tᵀ A₂ h_s) (x_s - 1/words). v
    starts at `start`, A₁ and A₂ at 0: uniform attention.
    """

    words: int = Field(default=2, ge=2, le=4, description="Size of the alphabet.")
    length: int = Field(default=9, ge=3, le=12, description="Words T of a sequence.")
    concentration: float = Field(default=0.3, gt=0, description="Of the Dirichlet prior of the chain's rows.")
    start: float = Field(default=1e-4, gt=0, description="v at t = 0.")
    attention_rate: float = Field(default=0.05, gt=0, description="Learning rate of A₁ and A₂, against 1 for v.")
    parent: int = Field(
        default=1, ge=1, le=2, description="How far back a word's parent is; the second word's is the first."
    )

    def sequences(self):
        """(count, length + 1) words, and the probability of each."""
        found = np.array(list(itertools.product(range(self.words), repeat=self.length + 1)))
        alpha, d = self.concentration, self.words
        counts = np.zeros((len(found), d, d))
        for i in range(1, self.length + 1):
            np.add.at(counts, (np.arange(len(found)), found[:, max(i - self.parent, 0)], found[:, i]), 1)
        rows = gammaln(alpha * d) - gammaln(alpha * d + counts.sum(-1)) + np.sum(gammaln(alpha + counts), -1)
        return found, np.exp(np.sum(rows - d * gammaln(alpha), -1)) / d

    def logits(self, p, one_hot):
        """(sequences, words)."""
        T, scale = self.length, np.sqrt(self.attention_rate)
        seen = jnp.tril(jnp.ones((T, T), bool))
        first = jax.nn.softmax(jnp.where(seen, scale * p["A1"], -jnp.inf), axis=1)
        hidden = jnp.einsum("sj,njd->nsd", first, one_hot)
        scores = jnp.einsum("nd,de,nse->ns", one_hot[:, -1], scale * p["A2"], hidden)
        return p["v"] * jnp.einsum("ns,nsd->nd", jax.nn.softmax(scores, axis=1), one_hot - 1 / self.words)

    def risk(self, p):
        found, probability = self.sequences()
        one_hot = jnp.asarray(np.eye(self.words)[found[:, :-1]])
        taken = jnp.take_along_axis(jax.nn.log_softmax(self.logits(p, one_hot)), jnp.asarray(found[:, -1:]), axis=1)
        return -jnp.sum(jnp.asarray(probability) * taken[:, 0])

    def problem(self, key):
        T, d = self.length, self.words
        return flowsim.Problem.from_loss(
            self.risk, {"v": jnp.asarray(self.start), "A1": jnp.zeros((T, T)), "A2": jnp.zeros((d, d))}
        )

    def predicted(self, attention):
        """The least cross-entropy of v Σ_s attention_s (x_s - 1/words) over v; attention: (sequences, length)."""
        found, probability = self.sequences()
        mean = np.einsum("ns,nsd->nd", attention, np.eye(self.words)[found[:, :-1]] - 1 / self.words)

        def risk(v):
            logits = v * mean
            taken = np.take_along_axis(logits, found[:, -1:], axis=1)[:, 0]
            return float(probability @ (np.log(np.sum(np.exp(logits), axis=1)) - taken))

        return minimize_scalar(risk, bounds=(0.0, 50.0), method="bounded", options={"xatol": 1e-10}).fun

    def unigram(self):
        """Of uniform attention."""
        found, _ = self.sequences()
        return self.predicted(np.full((len(found), self.length), 1 / self.length))

    def bigram(self):
        """Of attention to the words whose parent is the last word, or to all where there are none."""
        found, _ = self.sequences()
        own = found[:, np.maximum(np.arange(self.length) - self.parent, 0)]
        match = (own == found[:, self.length - 1 :][:, :1]).astype(float)
        match[:, 0] = 0.0
        total = match.sum(axis=1, keepdims=True)
        return self.predicted(np.where(total > 0, match / np.maximum(total, 1), 1 / self.length))

    def best(self):
        """Of the posterior mean, which nothing can go below."""
        _, probability = self.sequences()
        prefix = probability.reshape(-1, self.words)
        return float(-np.sum(prefix * np.log(prefix / prefix.sum(axis=1, keepdims=True))))
