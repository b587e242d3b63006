"""Makkuva, Bondaschi, Ekbote, Girish, Nagle, Kim, Gastpar (NeurIPS 2024): a transformer on a binary Markov chain."""

import functools

import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.optimize import brentq

import flowsim
from flowsim.claims import Finding, Measured, agrees, conserved, converged, scalar_flow

SOURCE = "Makkuva et al., NeurIPS 2024, arXiv 2406.03072"
CONVERGED = 1e-9  # gradient's norm
SADDLE = -np.sqrt(0.5)  # of w, with e = 0
SEPARATRIX = -0.5 * (1 + np.log(2))  # energy of the saddle


@flowsim.kind("problem", "makkuva2024")
class Makkuva2024(flowsim.config.ProblemKind):
    """One-layer transformer on a binary Markov chain in its two canonical parameters (e, w), with the optimal bias.

    Next-token logit e²(1 + 2w|w|)(x - ½) + b*, cross-entropy under the stationary chain with switching probabilities
    p (0 → 1) and q (1 → 0). Every entry of `starts` is a copy, and the risk is the sum over copies.
    """

    p: float = Field(default=0.2, gt=0, lt=1, description="Probability of 0 → 1.")
    q: float = Field(default=0.3, gt=0, lt=1, description="Probability of 1 → 0.")
    starts: tuple[tuple[float, float], ...] = Field(
        default=((0.3, 0.2), (0.3, -0.5), (1.0, -1.0), (0.3, -1.0)), min_length=1, description="(e, w) at t = 0."
    )

    @property
    def target(self):
        """u = e²(1 + 2w|w|) at every global minimum."""
        return float(np.log((1 - self.p) * (1 - self.q) / (self.p * self.q)))

    def problem(self, key):
        e, w = (jnp.asarray(column) for column in zip(*self.starts, strict=True))

        def risk(x):
            return jnp.sum(self.cross_entropy(x["e"] ** 2 * (1 + 2 * x["w"] * jnp.abs(x["w"]))))

        return flowsim.Problem.from_loss(risk, {"e": e, "w": w})

    def start_size(self):
        return min((abs(x) for start in self.starts for x in start if x), default=None)

    def cross_entropy(self, u, np=jnp):
        """Of the logits b* ± u/2, with the bias that is optimal for u."""
        one = self.p / (self.p + self.q)
        zero = 1 - one
        bias = self.bias(u, np)
        at_zero, at_one = bias - u / 2, bias + u / 2
        return zero * (np.logaddexp(0.0, at_zero) - self.p * at_zero) + one * (
            np.logaddexp(0.0, at_one) - (1 - self.q) * at_one
        )

    def bias(self, u, np=jnp):
        """b*: the mean prediction is right, which is quadratic in e^b."""
        one = self.p / (self.p + self.q)
        zero = 1 - one
        half = (zero - one) * np.exp(-u / 2) / 2
        return np.log((np.sqrt(half**2 + zero * one) - half) / zero)

    def slope(self, u):
        """d(cross-entropy)/du, by hand: π₁ (σ(b* + u/2) - (1 - q))."""
        one = self.p / (self.p + self.q)
        return one * (1 / (1 + np.exp(-(self.bias(u, np) + u / 2))) - (1 - self.q))

    def reaches_global(self, e, w):
        """Does this start end in a global minimum? Otherwise e → 0 and the model ends at the unigram."""
        above, passes = w > SADDLE, energy(e, w) > SEPARATRIX
        if self.target > 0:
            return above or passes
        return not above or (w < 0 and passes)

    def limit(self, e, w):
        """Where (e, w) ends: on its level of the energy, at u = target or at e = 0."""
        level, up = energy(e, w), self.target > e**2 * (1 + 2 * w * abs(w))
        goal = self.target if self.reaches_global(e, w) else 0.0

        def off(x):
            squared = level + x**2 + np.sign(x) * np.log(abs(x))
            return squared * (1 + 2 * x * abs(x)) - goal if goal else squared

        far = (np.inf if w > 0 else -1e-300) if up else (1e-300 if w > 0 else -np.inf)
        if not goal and w < 0:
            far = SADDLE
        if np.isinf(far):
            far = w
            while np.sign(off(far)) == np.sign(off(w)):
                far *= 2
        end = brentq(off, w, far, xtol=1e-15, rtol=1e-15)
        squared = level + end**2 + np.sign(end) * np.log(abs(end))
        return np.sign(e) * np.sqrt(max(squared, 0.0)) if goal else 0.0, end

    def path(self, t):
        """w(t) of every copy: one scalar equation on its level of the energy."""
        e, w = (np.asarray(column) for column in zip(*self.starts, strict=True))
        level = energy(e, w)

        def rate(x):
            squared = level + x**2 + np.sign(x) * np.log(np.abs(x))
            return -self.slope(squared * (1 + 2 * x * np.abs(x))) * 4 * squared * np.abs(x)

        return scalar_flow(rate, w, t)

    def claims(self, key):
        probes = {
            "e": lambda x: x["e"],
            "w": lambda x: x["w"],
            "energy": lambda x: energy(x["e"], x["w"], jnp),
            "cross_entropy": lambda x: self.cross_entropy(x["e"] ** 2 * (1 + 2 * x["w"] * jnp.abs(x["w"]))),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes)
        return [*self._on_levels(make), *self._ends(make)]

    def _on_levels(self, make):
        @make(id="conserved energy", rule="within 10 error bands of its start at every saved time")
        def conservation(evidence):
            """E = e² - w² - sgn(w) ln|w| is conserved."""
            return conserved(evidence, "energy", scale=1 + max(abs(energy(e, w)) for e, w in self.starts))

        @make(id="path", rule="within 10 error bands of its solution at every saved time")
        def path(evidence):
            """On a level of the energy the flow is one scalar equation for w."""
            return agrees(evidence, "w", self.path)

        return [conservation, path]

    def _ends(self, make):
        @make(
            id="basins of attraction",
            rule="every start ends with the cross-entropy of the predicted one, nearer than half the difference",
        )
        def basins(evidence):
            """The side of w = -1/√2 and of the separatrix E = -½(1 + ln 2) on which a start lies decides whether it
            ends at a global minimum, e²(1 + 2w|w|) = ln((1-p)(1-q)/(pq)), or at the unigram."""
            converged(evidence, CONVERGED)
            best, unigram = (float(self.cross_entropy(u, np)) for u in (self.target, 0.0))
            if best > unigram * (1 - 1e-9):
                return Finding({}, reason="p + q = 1: the two are the same")
            predicted = np.array([best if self.reaches_global(*start) else unigram for start in self.starts])
            final = evidence.value("cross_entropy")
            label = "distance from the predicted cross-entropy"
            return Finding.of(abs(final - predicted) < (unigram - best) / 2, abs(final - predicted).named(label))

        @make(
            id="limit",
            rule="the final (e, w) is within 10 error bounds of it, and of what the gradient's norm leaves to go",
        )
        def limit(evidence):
            """The level of the energy gives the limit itself."""
            left = converged(evidence, CONVERGED)
            exact = np.array([self.limit(*start) for start in self.starts])
            found = []
            for k, name in enumerate(("e", "w")):
                final = evidence.value(name)
                allowed = 10 * final.error + 1e3 * left + 1e-12
                apart = np.abs(final.value - exact[:, k])
                found += [Measured(apart) < allowed, Measured(np.max(apart), np.max(final.error), f"{name}: distance")]
            return Finding.of(*found)

        return [basins, limit]


def energy(e, w, np=np):
    """E = e² - w² - sgn(w) ln|w|."""
    return e**2 - w**2 - np.sign(w) * np.log(np.abs(w))
