"""Simon, Knutins, Ziyin, Geisz, Fetterman, Albrecht (ICML 2023): stepwise self-supervised learning."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, agrees, all_of, equals, in_order

SOURCE = "Simon et al., ICML 2023"


@flowsim.kind("problem", "simon2023")
class Simon2023(flowsim.config.ProblemKind):
    """Linear Barlow twins: ‖W Γ Wᵀ - 1‖²_F with Γ = V diag(eigenvalues) Vᵀ, from W = Q diag(start) Vᵀ.

    Q and V are random orthogonal matrices.
    """

    eigenvalues: tuple[float, ...] = Field(default=(8.0, 4.0, 2.0, 1.0), min_length=1, description="γ of Γ.")
    start: float = Field(default=1e-4, gt=0, description="Every singular value s₀ of W at t = 0.")
    head_start: float = Field(default=1.0, gt=0, description="Factor on the weakest mode's start: breaks the order.")
    misalignment: float = Field(default=0.0, description="Size of a random matrix added to the start, against s₀.")

    def rotations(self, key):
        """Q and V."""
        return [jax.random.orthogonal(k, len(self.eigenvalues)) for k in jax.random.split(key)]

    def problem(self, key):
        Q, V = self.rotations(key)
        gamma = V @ jnp.diag(jnp.asarray(self.eigenvalues)) @ V.T
        noise = jax.random.normal(jax.random.fold_in(key, 1), Q.shape)
        weakest = jnp.arange(len(Q)) == jnp.argmin(jnp.asarray(self.eigenvalues))
        scale = jnp.where(weakest, self.head_start, 1.0)
        W = self.start * ((Q * scale) @ V.T + self.misalignment * noise)
        return flowsim.Problem.from_loss(lambda W: jnp.sum((W @ gamma @ W.T - jnp.eye(len(W))) ** 2), W)

    def start_size(self):
        return self.start

    def squares(self, t):
        """s_j²(t), (times, modes): a logistic curve that ends at 1/γ_j."""
        gamma = np.asarray(self.eigenvalues)
        return 1 / (gamma + (self.start**-2 - gamma) * np.exp(-8 * gamma * np.asarray(t)[:, None]))

    def steps(self):
        """When each s_j² is half of 1/γ_j."""
        gamma = np.asarray(self.eigenvalues)
        return np.log(1 / (self.start**2 * gamma) - 1) / (8 * gamma)

    def claims(self, key):
        Q, V = self.rotations(key)

        def half(i, t, W):
            return (Q.T @ W @ V)[i, i] ** 2 * self.eigenvalues[i] - 0.5

        events = [
            flowsim.events.crossing(f"step_{i}", functools.partial(half, i), direction="up") for i in range(len(Q))
        ]
        probes = {"squared_singular_value": lambda W: jnp.diagonal(V.T @ W.T @ W @ V)}
        return self._closed_forms(functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events))

    def _closed_forms(self, make):
        gamma = np.asarray(self.eigenvalues)

        @make(id="singular values", rule="within 10 error bands of the closed form at every saved time")
        def singular_values(evidence):
            """s_j²(t) = 1 / (γ_j + (s_j(0)⁻² - γ_j) e^(-8 γ_j t))."""
            return agrees(evidence, "squared_singular_value", self.squares)

        @make(id="loss", rule="within 10 error bands of the closed form at every saved time")
        def loss(evidence):
            """The loss is Σ (γ_j s_j² - 1)² and falls in steps."""
            return agrees(evidence, "loss", lambda t: np.sum((gamma * self.squares(t) - 1) ** 2, axis=1))

        @make(id="times of the steps", rule="within 10 error bounds of the event's time")
        def times(evidence):
            """Mode j is learned at ln(1/(s₀² γ_j) - 1) / (8 γ_j)."""
            if self.start**2 * max(gamma) >= 0.5:
                return Finding({}, reason="a mode starts beyond half its final size")
            return all_of(equals(evidence.time(f"step_{i}"), float(time)) for i, time in enumerate(self.steps()))

        @make(id="order of the steps", rule="the steps' times increase as the eigenvalues decrease")
        def order(evidence):
            """Eigendirections are learned one by one, in the order of their eigenvalues."""
            return in_order(evidence, "step", gamma)

        return [singular_values, loss, times, order]
