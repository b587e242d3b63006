"""Tarzanagh, Li, Zhang, Oymak (NeurIPS 2023): attention selects tokens by a maximum margin."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.optimize import nnls

import flowsim
from flowsim.claims import Finding, near

SOURCE = "Tarzanagh, Li, Zhang, Oymak, NeurIPS 2023"


@flowsim.kind("problem", "tarzanagh2023")
class Tarzanagh2023(flowsim.config.ProblemKind):
    """Softmax attention with a trained query z and a fixed value vector: mean log(1 + e^(-y vᵀXᵀ softmax(X z))).

    X holds `tokens` Gaussian tokens a sample; the first scores y vᵀx = 1 and the others 0. z starts at 0.
    """

    samples: int = Field(default=4, ge=1, description="n.")
    tokens: int = Field(default=3, ge=2, description="Tokens in a sample.")
    dimension: int = Field(default=10, ge=3, description="Of tokens.")
    shift: float = Field(default=0.0, description="Score of the last token, in place of 0: above 1 it is the best one.")

    def data(self, key):
        """X: (samples, tokens, dimension), y: (samples,); v is the first unit vector."""
        X = jax.random.normal(key, (self.samples, self.tokens, self.dimension))
        y = jnp.where(jnp.arange(self.samples) % 2 == 0, 1.0, -1.0)
        scores = jnp.zeros(self.tokens).at[-1].set(self.shift).at[0].set(1.0)
        return X.at[:, :, 0].set(y[:, None] * scores), y

    def problem(self, key):
        X, y = self.data(key)

        def risk(z):
            attention = jax.nn.softmax(X @ z, axis=1)
            return jnp.mean(jax.nn.softplus(-y * jnp.einsum("nt,nt->n", attention, X[:, :, 0])))

        return flowsim.Problem.from_loss(risk, jnp.zeros(self.dimension))

    def separator(self, key):
        """The least-norm z with (x_first - x_other)ᵀz ≥ 1: Lawson and Hanson's least distance programming."""
        X = np.asarray(self.data(key)[0], np.float64)
        G = (X[:, :1] - X[:, 1:]).reshape(-1, self.dimension)
        weights, distance = nnls(np.vstack([G.T, np.ones(len(G))]), np.r_[np.zeros(self.dimension), 1.0])
        left = np.vstack([G.T, np.ones(len(G))]) @ weights - np.r_[np.zeros(self.dimension), 1.0]
        return None if distance < 1e-8 else -left[:-1] / left[-1]

    def claims(self, key):
        X, _ = self.data(key)
        best = self.separator(key)
        unit = jnp.zeros(self.dimension) if best is None else jnp.asarray(best / np.linalg.norm(best))
        probes = {
            "cosine": lambda z: z @ unit / jnp.maximum(jnp.linalg.norm(z), 1e-300),
            "norm": jnp.linalg.norm,
            "selected": lambda z: jnp.min(jax.nn.softmax(X @ z, axis=1)[:, 0]),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes)
        return [*self._direction(make, best), *self._growth(make, best)]

    def _direction(self, make, best):
        @make(id="token selection", rule="its least attention at the end is above 0.99")
        def selection(evidence):
            """Attention ends on the token of the highest score in every sample."""
            _separable(best)
            return Finding.compare(evidence.value("selected"), ">", 0.99)

        @make(
            id="direction",
            rule="its cosine with the solution of the quadratic program ends above 0.99, and nearer to 1 than at √t1",
        )
        def direction(evidence):
            """z converges in direction to the maximum-margin separator of the best tokens (Theorem 3)."""
            _separable(best)
            final, early = evidence.value("cosine"), evidence.value("cosine", at=float(np.sqrt(evidence.end)))
            label = "cosine with the separator"
            return Finding.of(final > 0.99, final > early, final.named(label), early.named(f"{label} at √t1"))

        return [selection, direction]

    def _growth(self, make, best):
        @make(
            id="logarithmic growth",
            rule="between t1/100 and t1 the slope of ‖z‖ in ln t is within 5 % of the separator's norm",
        )
        def growth(evidence):
            """The margin grows like ln t: ‖z‖ like ‖separator‖ ln t."""
            _separable(best)
            time, norm = evidence.curve("norm", evidence.end / 100)
            slope = (norm[-1] - norm[0]) / float(np.log(time[-1] / time[0]))
            return near(slope.named("slope of ‖z‖ in ln t"), float(np.linalg.norm(best)), 0.05)

        @make(
            id="unbounded norm", rule="the norm grows over the last decade, and the loss is within 1 % of ln(1 + 1/e)"
        )
        def unbounded(evidence):
            """No finite z is optimal: the norm grows without end, and the loss falls to ln(1 + 1/e)."""
            _separable(best)
            _, norm = evidence.curve("norm", evidence.end / 10)
            floor = float(np.log1p(np.exp(-1.0)))
            growing = Finding.of(norm[-1] > norm[0], (norm[-1] - norm[0]).named("growth over the last decade"))
            return growing & near(evidence.value("loss"), floor, 0.01)

        return [growth, unbounded]


def _separable(best):
    if best is None:
        raise flowsim.claims.NotReachedError("the best tokens cannot be separated from the others")
