"""Saxe, McClelland, Ganguli (ICLR 2014): exact learning dynamics of deep linear networks."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, agrees, all_of, conserved, equals, in_order, near, scalar_flow

SOURCE = "Saxe, McClelland, Ganguli, ICLR 2014"


@flowsim.kind("problem", "saxe2014")
class Saxe2014(flowsim.config.ProblemKind):
    """Deep linear network W_N … W_1 on whitened inputs: ½‖W_N … W_1 - Σ‖²_F from a balanced, aligned start.

    Σ = U diag(strengths) Vᵀ with random orthogonal U and V; every layer starts as R_l diag(start^(1/N)) R_(l-1)ᵀ with
    orthogonal R_l, R_0 = V and R_N = U, so that W_N … W_1 = U diag(start) Vᵀ.
    """

    strengths: tuple[float, ...] = Field(default=(4.0, 2.0, 1.0), description="Singular values λ of Σ.", min_length=1)
    start: float = Field(default=1e-6, gt=0, description="Strength s₀ of every mode at t = 0.")
    depth: int = Field(default=2, ge=2, le=10, description="Number N of layers.")
    head_start: float = Field(default=1.0, gt=0, description="Factor on the weakest mode's start: breaks the order.")
    imbalance: float = Field(default=0.0, description="Factor 1 + imbalance on the first layer: breaks the balance.")

    def rotations(self, key):
        """R_0 … R_N, each (modes, modes)."""
        return [jax.random.orthogonal(k, len(self.strengths)) for k in jax.random.split(key, self.depth + 1)]

    def problem(self, key):
        R, lam = self.rotations(key), jnp.asarray(self.strengths)
        target = R[-1] @ jnp.diag(lam) @ R[0].T
        weakest = jnp.arange(len(lam)) == jnp.argmin(lam)
        start = jnp.diag(jnp.where(weakest, self.head_start, 1.0) * self.start) ** (1 / self.depth)
        layers = [R[l + 1] @ start @ R[l].T for l in range(self.depth)]
        layers[0] = (1 + self.imbalance) * layers[0]
        return flowsim.Problem.from_loss(lambda W: 0.5 * jnp.sum((product(W) - target) ** 2), layers)

    def start_size(self):
        return self.start ** (1 / self.depth)

    def strength(self, t):
        """s(t) of every mode, (times, modes). Depth 2: eq. 10 of the paper; else one scalar equation a mode."""
        lam = np.asarray(self.strengths)
        if self.depth == 2:
            return lam / (1 + (lam / self.start - 1) * np.exp(-2 * lam * np.asarray(t)[:, None]))
        # In ln s, whose growth from a small start is of order 1.
        power = 1 - 2 / self.depth
        start = np.full(len(lam), np.log(self.start))
        return np.exp(scalar_flow(lambda g: self.depth * np.exp(power * g) * (lam - np.exp(g)), start, t))

    def half_times(self):
        """When each mode has half its final strength, at depth 2."""
        lam = np.asarray(self.strengths)
        return np.log(lam / self.start - 1) / (2 * lam)

    def claims(self, key):
        R = self.rotations(key)

        def modes(W):
            return R[-1].T @ product(W) @ R[0]

        events = [
            flowsim.events.crossing(f"half_{i}", functools.partial(_half, modes, i, x), direction="up")
            for i, x in enumerate(self.strengths)
        ]
        probes = {
            "strength": lambda W: jnp.diagonal(modes(W)),
            "crosstalk": lambda W: modes(W) - jnp.diag(jnp.diagonal(modes(W))),
            "balance": lambda W: jnp.stack([b.T @ b - a @ a.T for a, b in itertools.pairwise(W)]),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events)
        return [*self._closed_forms(make), *self._stages(make)]

    def _closed_forms(self, make):
        largest = max(self.strengths)

        @make(
            id="strength of every mode",
            rule="within 10 error bands of the closed form at every saved time, and no coupling between modes",
        )
        def strength(evidence):
            """Every mode's strength follows s' = N s^(2-2/N) (λ - s), for N = 2 a sigmoid in t (eq. 10)."""
            curve = agrees(evidence, "strength", self.strength)
            return curve & conserved(evidence, "crosstalk", scale=largest)

        @make(id="half-times", rule="within 10 error bounds of the event's time")
        def half_times(evidence):
            """At depth 2 a mode has half its strength at ln(λ/s₀ - 1) / (2λ)."""
            if self.depth != 2:
                return Finding({}, reason="stated for depth 2")
            if self.start >= min(self.strengths) / 2:
                return Finding({}, reason="a mode starts at more than half its final strength")
            times = enumerate(self.half_times())
            return all_of(equals(evidence.time(f"half_{i}"), float(time)) for i, time in times)

        @make(id="balance", rule="within 10 error bands of 0 at every saved time")
        def balance(evidence):
            """W_(l+1)ᵀ W_(l+1) - W_l W_lᵀ is conserved, and 0 from a balanced start."""
            scale = largest ** (2 / self.depth)
            start = abs(evidence.value("balance", at=0.0)).named("balance at the start")
            return conserved(evidence, "balance", scale=scale) & Finding.of(start < 1e-12 * scale)

        return [strength, half_times, balance]

    def _stages(self, make):
        @make(id="order of learning", rule="half-times increase as the strengths decrease")
        def order(evidence):
            """Modes are learned in the order of their strengths."""
            return in_order(evidence, "half", self.strengths)

        @make(
            id="plateau heights",
            rule="within 10 % where the gradient is least between half-times that are 3/λ of the next mode apart",
        )
        def plateaus(evidence):
            """Between two transitions the loss rests at ½ Σ λ² of the modes not yet learned."""
            found = [self._plateau(evidence, a) for a in np.unique(self.strengths)[1:]]
            found = [x for x in found if x is not None]
            reason = "no two half-times are six growth times apart, or the run ended before"
            return all_of(found) if found else Finding({}, reason=reason)

        return [order, plateaus]

    def _plateau(self, evidence, strength):
        """The plateau after all modes of at least this strength are learned."""
        lam = np.asarray(self.strengths)
        before = [evidence.events[f"half_{i}"].time for i in np.flatnonzero(lam >= strength)]
        after = [evidence.events[f"half_{i}"].time for i in np.flatnonzero(lam < strength)]
        if None in before or None in after or min(after) - max(before) < 3 / np.max(lam[lam < strength]):
            return None
        time, gradient = evidence.curve("gradient_norm", max(before), min(after))
        if len(time) < 3:
            return None
        loss = evidence.value("loss", at=float(time[np.argmin(gradient.value)]))
        height = 0.5 * float(np.sum(lam[lam < strength] ** 2))
        return near(loss.named(f"plateau after λ = {strength:g}"), height, 0.1)


def product(layers):
    """W_N … W_1."""
    return functools.reduce(lambda total, W: W @ total, layers)


def _half(modes, i, strength, t, W):
    return modes(W)[i, i] - strength / 2
