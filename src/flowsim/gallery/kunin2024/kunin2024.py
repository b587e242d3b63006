"""Kunin, Raventós, Dominé, Chen, Klindt, Saxe, Ganguli (NeurIPS 2024): unbalanced starts, lazy and rich."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, agrees, conserved

SOURCE = "Kunin et al., NeurIPS 2024"


@flowsim.kind("problem", "kunin2024")
class Kunin2024(flowsim.config.ProblemKind):
    """One linear neuron f(x) = a wᵀx on whitened inputs, ½‖a w - β‖², from several starts at once.

    Every δ = η_w a² - η_a ‖w‖² of `deltas` is one copy, and the risk is the sum over copies. The smaller of √η_w |a|
    and √η_a ‖w‖ starts as `size`. With rates η the flow is a' = η_a wᵀ(β - a w), w' = η_w a (β - a w); it is
    integrated as the gradient flow in a/√η_a, w/√η_w.
    """

    beta: tuple[float, ...] = Field(default=(1.0, -0.5, 0.25), min_length=1, description="The target β.")
    deltas: tuple[float, ...] = Field(default=(-4.0, -1.0, 0.0, 1.0, 4.0), min_length=1, description="The δ.")
    size: float = Field(default=0.1, gt=0, description="The smaller of the two layers at t = 0.")
    overlap: float = Field(default=0.5, ge=-1, le=1, description="Cosine between w(0) and β.")
    rates: tuple[float, float] = Field(default=(1.0, 1.0), description="Learning rates η_a, η_w.")

    def start(self, key):
        """a/√η_a: (copies,), and w/√η_w: (copies, inputs)."""
        beta, delta = jnp.asarray(self.beta), jnp.asarray(self.deltas)
        along = beta / jnp.linalg.norm(beta)
        other = jax.random.normal(key, beta.shape)
        other = other - along * (along @ other)
        across = other / jnp.linalg.norm(other) if len(self.beta) > 1 else jnp.zeros_like(beta)
        direction = self.overlap * along + jnp.sqrt(1 - self.overlap**2) * across
        large = jnp.sqrt(jnp.abs(delta) + self.size**2)
        a, w = jnp.where(delta > 0, large, self.size), jnp.where(delta > 0, self.size, large)
        scale = np.sqrt(self.rates[0] * self.rates[1])
        return a / scale, w[:, None] * direction / jnp.linalg.norm(direction) / scale

    def start_size(self):
        return self.size

    def problem(self, key):
        beta, scale = jnp.asarray(self.beta), float(np.sqrt(self.rates[0] * self.rates[1]))
        a, w = self.start(key)

        def risk(p):
            return 0.5 * jnp.sum((scale * p["a"][:, None] * p["w"] - beta) ** 2)

        return flowsim.Problem.from_loss(risk, {"a": a, "w": w})

    def path(self, key, t):
        """(a, w) in closed form, (times, copies) and (times, copies, inputs).

        With z = (a, w) the conserved δ turns the flow into Oja's, z' = M z - ½‖z‖² z with M = [[δ/2, βᵀ], [β, -δ/2]],
        whose solution is e^(Mt) z₀ / √(1 + ∫₀ᵗ ‖e^(Ms) z₀‖² ds).
        """
        scale = float(np.sqrt(self.rates[0] * self.rates[1]))
        a, w = (np.sqrt(scale) * np.asarray(x) for x in self.start(key))
        copies = [_oja(np.asarray(self.beta), a[k], w[k], scale * np.asarray(t)) for k in range(len(a))]
        z = np.stack(copies, axis=1) / np.sqrt(scale)
        return z[..., 0], z[..., 1:]

    def claims(self, key):
        scale = self.rates[0] * self.rates[1]
        a0, w0 = self.start(key)
        probes = {
            "a": lambda p: p["a"],
            "w": lambda p: p["w"],
            "delta": lambda p: scale * (p["a"] ** 2 - jnp.sum(p["w"] ** 2, axis=1)),
            "kernel_distance": lambda p: jax.vmap(kernel_distance, (0, 0, 0, 0, None))(
                a0, w0, p["a"], p["w"], jnp.asarray(self.rates)
            ),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes)
        return [*self._exact(make, key), *self._regimes(make, key)]

    def _exact(self, make, key):
        @make(id="exact solution", rule="within 10 error bands of the closed form at every saved time")
        def exact(evidence):
            """a(t) and w(t) have a closed form for every δ and every start."""
            return agrees(evidence, "a", lambda t: self.path(key, t)[0]) & agrees(
                evidence, "w", lambda t: self.path(key, t)[1]
            )

        @make(id="conserved δ", rule="within 10 error bands of its start at every saved time")
        def delta(evidence):
            """δ = η_w a² - η_a ‖w‖² is conserved."""
            return conserved(evidence, "delta", scale=1 + max(map(abs, self.deltas)))

        return [exact, delta]

    def _regimes(self, make, key):
        a0, w0 = self.start(key)

        @make(
            id="movement of the kernel",
            rule="within 10 error bands of the distance on the closed form's path at every saved time",
        )
        def movement(evidence):
            """δ decides how far the kernel moves: its distance from the start follows the exact path."""

            def closed(t):
                each = jax.vmap(kernel_distance, (0, 0, 0, 0, None))
                rates = jnp.asarray(self.rates)
                a, w = (jnp.asarray(x) for x in self.path(key, t))
                return np.asarray(jax.vmap(lambda x, y: each(a0, w0, x, y, rates))(a, w))

            return agrees(evidence, "kernel_distance", closed)

        @make(
            id="lazy for large δ",
            rule="the kernel's final distance from its start is larger at the δ nearest 0 than at the largest δ",
        )
        def lazy(evidence):
            """For δ → +∞ learning is lazy, for δ near 0 rich."""
            near, far = int(np.argmin(np.abs(self.deltas))), int(np.argmax(self.deltas))
            if self.deltas[far] <= 0 or near == far:
                return Finding({}, reason="needs a δ > 0 and one nearer to 0")
            final = evidence.value("kernel_distance")
            return Finding.compare(
                final[far].named(f"distance at δ = {self.deltas[far]:g}"),
                "<",
                final[near].named(f"distance at δ = {self.deltas[near]:g}"),
            )

        return [movement, lazy]


def kernel_distance(a0, w0, a, w, rates):
    """1 - the cosine between K(0) and K, with K = η_w a² 1 + η_a w wᵀ in the neuron's own parameters."""

    def kernel(a, w):
        return rates[0] * rates[1] * (a**2 * jnp.eye(len(w)) + jnp.outer(w, w))

    K0, K = kernel(a0, w0), kernel(a, w)
    return 1 - jnp.sum(K0 * K) / jnp.sqrt(jnp.sum(K0**2) * jnp.sum(K**2))


def _oja(beta, a, w, t):
    delta = a**2 - w @ w
    M = np.diag(np.r_[delta, -delta * np.ones(len(w))] / 2)
    M[0, 1:] = M[1:, 0] = beta
    rates, basis = np.linalg.eigh(M)
    part = basis.T @ np.r_[a, w]
    top = rates[-1]  # e^(Mt) and its integral are scaled by e^(top t), which may be beyond the floats
    grown = np.exp((rates - top) * t[:, None]) * part
    # ∫₀ᵗ e^(2 rate s) ds, scaled by e^(-2 top t), without cancellation for rates near 0 of either sign
    growth = 2 * rates * t[:, None]
    small = np.where(growth == 0, 1.0, growth)
    mean = np.where(growth == 0, 1.0, -np.expm1(-np.abs(small)) / np.abs(small))
    areas = t[:, None] * mean * np.exp(np.maximum(growth, 0.0) - 2 * top * t[:, None])
    norm = np.exp(-2 * top * t) + areas @ part**2
    return grown @ basis.T / np.sqrt(norm)[:, None]
