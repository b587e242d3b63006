"""Zhang, Singh, Latham, Saxe (ICML 2025): training dynamics of in-context learning in linear attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, agrees, all_of, converged, in_order, near, resting_places, scalar_flow

SOURCE = "Zhang, Singh, Latham, Saxe, ICML 2025, arXiv 2501.16265"
COPIES = ("aligned", "random", "merged")


@flowsim.kind("problem", "zhang2025")
class Zhang2025(flowsim.config.ProblemKind):
    """Linear attention on in-context linear regression: the exact population risk of three models at once.

    Prompts of N pairs x ~ N(0, Λ), y = wᵀx with w ~ N(0, 1); every model predicts (1/N) Σ y_n x_nᵀ A x and its risk is
    E(y - ŷ)² = Tr Λ - 2 Tr(A Λ²) + Tr(Aᵀ Λ Γ A Λ), Γ = (1 + 1/N) Λ + (Tr Λ/N) 1. As many heads as dimensions:
    `aligned`: A = Σ v_h k_h q_hᵀ, head h along eigenvector h, v = ‖k‖ = ‖q‖ = start; `random`: the same model from a
    Gaussian start; `merged`: A = Σ v_h M_h from a Gaussian start. The problem's risk is the sum.
    """

    covariance: tuple[float, ...] = Field(
        default=(0.4, 0.3, 0.2, 0.1), min_length=1, description="Eigenvalues of Λ; its eigenvectors are random."
    )
    examples: int = Field(default=31, ge=1, description="Number N of pairs in a prompt.")
    start: float = Field(default=0.02, gt=0, description="Scale of the initial weights.")
    head_start: float = Field(default=1.0, gt=0, description="Factor on the start of the least variance's head.")
    merge: bool = Field(default=True, description="False leaves K and Q of `merged` separate: breaks its one drop.")
    tie: float = Field(default=0.0, description="Adds tie · ‖A‖² to every risk: breaks the closed forms.")

    @property
    def preconditioner(self):
        """Eigenvalues of Γ."""
        return flowsim.tasks.in_context_moment(np.asarray(self.covariance), self.examples)

    def rotation(self, key):
        return jax.random.orthogonal(jax.random.fold_in(key, 1), len(self.covariance))

    def risk(self, A, key):
        """E(y - ŷ)² of (1/N) Σ y_n x_nᵀ A x."""
        U = self.rotation(key)
        return 2 * flowsim.tasks.in_context_risk(U.T @ A @ U, covariance=self.covariance, examples=self.examples)

    def problem(self, key):
        D, s, U = len(self.covariance), self.start, self.rotation(key)
        least = jnp.arange(D) == jnp.argmin(jnp.asarray(self.covariance))
        ahead = jnp.where(least, self.head_start, 1.0)
        v, k, q, u, m = (jax.random.fold_in(key, i) for i in range(2, 7))

        def separate(keys):
            shapes = {"v": (D,), "k": (D, D), "q": (D, D)}
            return {n: s * jax.random.normal(own, shapes[n]) for n, own in zip(shapes, keys, strict=True)}

        start = {
            "aligned": {"v": s * ahead, "k": s * ahead[:, None] * U.T, "q": s * ahead[:, None] * U.T},
            "random": separate((v, k, q)),
            "merged": {"v": s * jax.random.normal(u, (D,)), "m": s * jax.random.normal(m, (D, D, D))}
            if self.merge
            else separate(jax.random.split(m, 3)),
        }

        def total(p):
            return sum(self.risk(A, key) + self.tie * jnp.sum(A**2) for A in (matrix(p[c]) for c in COPIES))

        return flowsim.Problem.from_loss(total, start)

    def start_size(self):
        return self.start

    def plateaus(self):
        """L_0 … L_D: Tr Λ less λ/(1 + (1 + Tr Λ/λ)/N) for every direction learned."""
        lam = np.sort(np.asarray(self.covariance))[::-1]
        gain = lam / (1 + (1 + np.sum(lam) / lam) / self.examples)
        return np.sum(lam) - np.concatenate([[0.0], np.cumsum(gain)])

    def gains(self, t):
        """a_d(t) of the aligned start, (times, D): a = s³, (1/s)' = -2λ²(1 - γ s³)."""
        lam, gamma = np.asarray(self.covariance), self.preconditioner
        start = np.full(len(lam), 1 / self.start)
        return scalar_flow(lambda y: -2 * lam**2 * (1 - gamma / y**3), start, t) ** -3

    def claims(self, key):
        U = self.rotation(key)
        gains = lambda p: jnp.diagonal(U.T @ matrix(p["aligned"]) @ U)  # noqa: E731
        probes = {"gain": gains} | {f"risk_{c}": functools.partial(_risk_of, self, key, c) for c in COPIES}
        half = 0.5 / self.preconditioner
        events = [
            flowsim.events.crossing(f"learned_{d}", lambda t, p, d=d: gains(p)[d] - half[d], direction="up")
            for d in range(len(half))
        ]
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events)
        return [*self._directions(make), *self._drops(make)]

    def _directions(self, make):
        @make(id="aligned heads", rule="within 10 error bands of the scalar equation's solution at every saved time")
        def aligned(evidence):
            """A head aligned with eigenvector d learns a_d by a' = 6 λ² a^(4/3) (1 - γ a)."""
            return agrees(evidence, "gain", self.gains)

        @make(id="order of learning", rule="the aligned heads' half-times increase as the eigenvalues decrease")
        def order(evidence):
            """Directions are learned one by one in the order of their variances."""
            return in_order(evidence, "learned", self.covariance)

        @make(id="final risk", rule="relatively within 1e-7, once the gradient's norm is below 1e-8")
        def final(evidence):
            """All three models end at Tr Λ - Σ λ/(1 + (1 + Tr Λ/λ)/N)."""
            converged(evidence, 1e-8)
            return all_of(near(evidence.value(f"risk_{c}"), float(self.plateaus()[-1]), 1e-7) for c in COPIES)

        return [aligned, order, final]

    def _drops(self, make):
        @make(
            id="plateaus of separate heads",
            rule="within 2 % where the risk falls most slowly between two drops, for every m",
        )
        def plateaus(evidence):
            """From a small random start separate rank-one K and Q visit a plateau at L_m, Tr Λ - Σ_(d≤m) λ_d/(1 + (1 +
            Tr Λ/λ_d)/N), after each direction."""
            time, risk = evidence.curve("risk_random")
            flat = resting_places(time, risk.value)
            heights = self.plateaus()[1:-1]
            if len(set(self.covariance)) < len(self.covariance):
                return Finding({}, reason="some eigenvalues are equal: their plateaus are one")
            if risk.value[-1] > 1.001 * self.plateaus()[-1]:
                return Finding({}, reason="the last direction is not learned by the end")
            found = Finding.compare(float(len(flat)), "==", float(len(heights)))
            pairs = enumerate(zip(flat, heights, strict=False))
            visits = [near(risk[i].named(f"plateau {m + 1}"), float(h), 0.02) for m, (i, h) in pairs]
            return all_of([Finding({"plateaus between drops": float(len(flat))}, found.conditions), *visits])

        @make(id="one drop with merged K, Q", rule="no resting place between the first plateau and the end")
        def merged(evidence):
            """With merged K and Q the risk falls in one abrupt drop."""
            time, risk = evidence.curve("risk_merged")
            if risk.value[-1] > 1.001 * self.plateaus()[-1]:
                return Finding({}, reason="nothing, or not all, is learned by the end")
            count = float(len(resting_places(time, risk.value)))
            return Finding({"plateaus between drops": count}, Finding.compare(count, "==", 0.0).conditions)

        return [plateaus, merged]


def matrix(heads):
    """A of separate or merged heads."""
    if "m" in heads:
        return jnp.einsum("h,hij->ij", heads["v"], heads["m"])
    return jnp.einsum("h,hi,hj->ij", heads["v"], heads["k"], heads["q"])


def _risk_of(paper, key, copy, p):
    return paper.risk(matrix(p[copy]), key)
