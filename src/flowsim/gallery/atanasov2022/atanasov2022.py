"""Atanasov, Bordelon, Pehlevan (ICLR 2022): silent alignment, the kernel learns its direction before the loss moves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, all_of, near

SOURCE = "Atanasov, Bordelon, Pehlevan, ICLR 2022"


@flowsim.kind("problem", "atanasov2022")
class Atanasov2022(flowsim.config.ProblemKind):
    """Two-layer linear network f(x) = aᵀW x on whitened inputs, ½‖aᵀW - β‖², from several small starts at once.

    β = signal · (a random unit vector); the weights start as σ times the same Gaussian draw, one copy for each σ of
    `scales`; the risk is the sum over copies.
    """

    signal: float = Field(default=1.0, gt=0, description="Norm s of the target.")
    scales: tuple[float, ...] = Field(default=(1e-1, 1e-2, 1e-3, 1e-4), min_length=2, description="The σ.")
    readin: float = Field(default=0.0, ge=0, description="Adds this scale, whatever σ, to W: makes learning lazy.")
    inputs: int = Field(default=8, ge=2, description="Dimension of the inputs.")
    hidden: int = Field(default=8, ge=1, description="Hidden neurons.")

    def direction(self, key):
        """β/s."""
        beta = jax.random.normal(key, (self.inputs,))
        return beta / jnp.linalg.norm(beta)

    def start_size(self):
        return min(self.scales)

    def problem(self, key):
        target, sigma = self.signal * self.direction(key), jnp.asarray(self.scales)
        W = jax.random.normal(jax.random.fold_in(key, 1), (self.hidden, self.inputs))
        a = jax.random.normal(jax.random.fold_in(key, 2), (self.hidden,))
        start = {"W": (sigma + self.readin)[:, None, None] * W, "a": sigma[:, None] * a}

        def risk(p):
            return 0.5 * jnp.sum((jnp.einsum("ch,chi->ci", p["a"], p["W"]) - target) ** 2)

        return flowsim.Problem.from_loss(risk, start)

    def claims(self, key):
        beta, target = self.direction(key), self.signal * self.direction(key)

        def risk(p):
            return 0.5 * jnp.sum((jnp.einsum("ch,chi->ci", p["a"], p["W"]) - target) ** 2, axis=1)

        def alignment(p):
            """Share of WᵀW, the part of the kernel that can turn, along β: between 0 and 1."""
            along = jnp.sum(jnp.einsum("chi,i->ch", p["W"], beta) ** 2, axis=1)
            return along / jnp.sum(p["W"] ** 2, axis=(1, 2))

        events = [
            flowsim.events.crossing(f"{name}_{k}", functools.partial(condition, k), direction="up")
            for k in range(len(self.scales))
            for name, condition in (
                ("aligned", lambda k, t, p: alignment(p)[k] - 0.9),
                ("learned", lambda k, t, p: 0.25 * self.signal**2 - risk(p)[k]),
            )
        ]
        probes = {"risk": risk, "alignment": alignment}
        return self._times(functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events))

    def _times(self, make):
        small = sorted(range(len(self.scales)), key=lambda k: -self.scales[k])[-2:]

        @make(
            id="alignment is silent",
            rule="at the time at which 0.9 of WᵀW lies along β the risk is above 0.9 of its start, at every σ ≤ 0.01",
        )
        def silent(evidence):
            """The kernel has turned to the target before the loss moves."""
            found, start = [], evidence.value("risk", at=0.0)
            for k in range(len(self.scales)):
                if self.scales[k] <= 0.01:
                    there = evidence.value("risk", at=evidence.time(f"aligned_{k}").value)[k]
                    label = f"risk / its start when aligned, σ = {self.scales[k]:g}"
                    found.append(Finding.compare((there / start[k]).named(label), ">", 0.9))
            return all_of(found) if found else Finding({}, reason="no σ is ≤ 0.01")

        @make(id="time of alignment", rule="at the two smallest σ it is the same within 1 %")
        def aligned(evidence):
            """The time of alignment is of order 1/s and does not depend on σ."""
            first, second = (evidence.time(f"aligned_{k}") for k in small)
            return near((second / first).named("ratio of the times of alignment"), 1.0, 0.01)

        @make(id="time of learning", rule="the difference between the two smallest σ is within 1 % of it")
        def learned(evidence):
            """The loss drops at ln(s σ⁻²)/(2s), up to a constant: it is later by ln(σ₁/σ₂)/s at a smaller σ₂."""
            first, second = (evidence.time(f"learned_{k}") for k in small)
            late = np.log(self.scales[small[0]] / self.scales[small[1]]) / self.signal
            return near((second - first).named("delay of learning"), float(late), 0.01)

        return [silent, aligned, learned]
