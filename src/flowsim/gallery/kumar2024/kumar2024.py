"""Kumar, Bordelon, Gershman, Pehlevan (ICLR 2024): grokking as the transition from lazy to rich training."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, all_of, near

SOURCE = "Kumar, Bordelon, Gershman, Pehlevan, ICLR 2024, arXiv 2310.06110"


@flowsim.kind("problem", "kumar2024")
class Kumar2024(flowsim.config.ProblemKind):
    """Two-layer network α (mean φ(w·x) - its start) with φ(z) = z + ½ ε z², on y = ½ (β·x)², at several α at once.

    x ~ N(0, 1/D) and ‖β‖² = D, so that β·x is of order 1. Every α of `scales` is one copy from the same Gaussian start,
    whose squared loss is divided by α²: all copies then have the same initial kernel, and 1/samples is in front.
    """

    scales: tuple[float, ...] = Field(default=(0.25, 4.0), min_length=2, description="The output scales α.")
    inputs: int = Field(default=12, ge=2, description="Dimension D of the inputs.")
    samples: int = Field(default=60, ge=1, description="Training samples P.")
    neurons: int = Field(default=60, ge=1, description="N.")
    epsilon: float = Field(default=0.25, gt=0, description="ε in φ: how well the initial kernel fits the target.")
    centered: bool = Field(default=True, description="Subtract the network's start; without it large α is not lazy.")

    def data(self, key):
        """X: (samples, inputs), y: (samples,), β: (inputs,)."""
        X = jax.random.normal(key, (self.samples, self.inputs)) / np.sqrt(self.inputs)
        beta = jax.random.normal(jax.random.fold_in(key, 1), (self.inputs,))
        beta = np.sqrt(self.inputs) * beta / jnp.linalg.norm(beta)
        return X, 0.5 * (X @ beta) ** 2, beta

    def start(self, key):
        return jax.random.normal(jax.random.fold_in(key, 2), (self.neurons, self.inputs))

    def form(self, W):
        """(b, S) of the network without α: b·x + xᵀS x."""
        return jnp.mean(W, axis=0), 0.5 * self.epsilon * W.T @ W / self.neurons

    def errors(self, key, W, scale, data):
        """½ mean (f - y)² on the training samples, and over all inputs."""
        X, y, beta = data
        (b, S), (b0, S0) = self.form(W), self.form(self.start(key))
        b, S = (scale * (x - self.centered * x0) for x, x0 in ((b, b0), (S, S0)))
        train = 0.5 * jnp.mean((X @ b + jnp.sum((X @ S) * X, axis=1) - y) ** 2)
        return train, self._population(b, S - 0.5 * jnp.outer(beta, beta))

    def _population(self, b, S):
        """½E(b·x + xᵀS x)² for x ~ N(0, 1/D)."""
        D = self.inputs
        return 0.5 * (jnp.sum(b**2) / D + (2 * jnp.sum(S**2) + jnp.trace(S) ** 2) / D**2)

    def problem(self, key):
        W, data = self.start(key), self.data(key)
        scales = jnp.asarray(self.scales)

        def risk(weights):
            losses = jax.vmap(lambda w, a: self.errors(key, w, a, data)[0] / a**2)(weights, scales)
            return self.neurons * jnp.sum(losses)

        return flowsim.Problem.from_loss(risk, jnp.stack([W] * len(self.scales)))

    def linearized(self, key, t):
        """Test loss at time t of the network linearized at its start, the limit α → ∞.

        The weights' gradient features are J = (1 + ε w·x) x / N of neuron by neuron.
        """
        X, y, beta = (np.asarray(x, np.float64) for x in self.data(key))
        W, N = np.asarray(self.start(key), np.float64), self.neurons
        J = ((1 + self.epsilon * W @ X.T)[:, None, :] * X.T[None]).reshape(-1, self.samples) / N
        rates, modes = np.linalg.eigh(N * J.T @ J / self.samples)
        rates = np.maximum(rates, 0.0)
        grown = np.where(rates * t > 1e-12, -np.expm1(-rates * t) / np.where(rates > 0, rates, 1.0), t)
        moved = (N * J @ (modes @ (grown * (modes.T @ y))) / self.samples).reshape(W.shape)
        b, S = np.mean(moved, axis=0), 0.5 * self.epsilon * (W.T @ moved + moved.T @ W) / N
        return float(self._population(jnp.asarray(b), jnp.asarray(S - 0.5 * np.outer(beta, beta))))

    def claims(self, key):
        data, scales = self.data(key), jnp.asarray(self.scales)

        def both(weights):
            return jax.vmap(lambda w, a: jnp.stack(self.errors(key, w, a, data)))(weights, scales)

        first = np.asarray(both(jnp.stack([self.start(key)] * len(self.scales))))
        events = [
            flowsim.events.crossing(
                f"{name}_{k}", functools.partial(_falls, both, k, i, part * first[k, i]), direction="down"
            )
            for k in range(len(self.scales))
            for name, i, part in (("train", 0, 0.1), ("test", 1, 0.1), ("half", 0, 0.5))
            if name != "half" or k == np.argmax(self.scales)
        ]
        probes = {
            "train": lambda weights: both(weights)[:, 0],
            "test": lambda weights: both(weights)[:, 1],
            "norm": lambda weights: jnp.linalg.norm(weights, axis=(1, 2)),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events)
        return [*self._delays(make), *self._regimes(make, key)]

    def _delays(self, make):
        def delay(evidence, k):
            ratio = evidence.time(f"test_{k}") / evidence.time(f"train_{k}")
            return ratio.named(f"delay at α = {self.scales[k]:g}")

        ranked = np.argsort(self.scales)

        @make(
            id="grokking",
            rule="at the largest α the test loss falls to a tenth at more than 3 times the training loss's time",
        )
        def grokking(evidence):
            """Without weight decay the test loss falls long after the training loss where α is large."""
            return Finding.compare(delay(evidence, ranked[-1]), ">", 3.0)

        @make(id="laziness delays", rule="the ratio of the two times increases from each α to the next")
        def grows(evidence):
            """The delay grows with α."""
            pairs = itertools.pairwise(ranked)
            return all_of(Finding.compare(delay(evidence, a), "<", delay(evidence, b)) for a, b in pairs)

        return [grokking, grows]

    def _regimes(self, make, key):
        lazy, rich = int(np.argmax(self.scales)), int(np.argmin(self.scales))

        @make(
            id="first the initial kernel",
            rule="when the training loss is half, the test loss is within 5 % of the linearized network's at that time",
        )
        def kernel(evidence):
            """At large α learning starts as with the initial kernel, whose test loss is far above."""
            time = evidence.time(f"half_{lazy}")
            loss = evidence.value("test", at=f"half_{lazy}")[lazy].named("test loss when the training loss is half")
            return near(loss, self.linearized(key, time.value), 0.05)

        @make(
            id="the norm does not fall", rule="at the largest and the least α it is larger at the end than at the start"
        )
        def norm(evidence):
            """The weights' norm does not explain grokking: it grows."""
            start, final = evidence.value("norm", at=0.0), evidence.value("norm")
            pairs = [(final[k].named(f"norm at the end, α = {self.scales[k]:g}"), start[k]) for k in {lazy, rich}]
            return all_of(Finding.compare(end, ">", first.named("norm at the start")) for end, first in pairs)

        return [kernel, norm]


def _falls(both, k, i, level, t, weights):
    return both(weights)[k, i] - level
