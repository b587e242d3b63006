"""Zhang, Frei, Bartlett (JMLR 2024): trained transformers learn linear models in context."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, Measured, conserved, converged, near

SOURCE = "Zhang, Frei, Bartlett, JMLR 2024"


@flowsim.kind("problem", "zhang2024")
class Zhang2024(flowsim.config.ProblemKind):
    """One linear attention head with merged K, Q on in-context regression: the exact population risk.

    Prompts of N pairs x ~ N(0, Λ), y = wᵀx with w ~ N(0, 1); ŷ = u (1/N) Σ y_n x_nᵀ U x; ½E(y - ŷ)². It starts at
    u = σ, U = σ Θ Θᵀ with a Gaussian Θ and ‖Θ Θᵀ‖_F = 1.
    """

    covariance: tuple[float, ...] = Field(default=(2.0, 1.0, 0.5), min_length=1, description="Eigenvalues of Λ.")
    examples: int = Field(default=20, ge=1, description="Number N of pairs in a prompt.")
    sigma: float = Field(default=0.3, gt=0, description="Scale σ of the start.")
    ridge: float = Field(default=0.0, description="Adds ridge · (u² + ‖U‖²): breaks the limit.")

    @property
    def preconditioner(self):
        """Eigenvalues of Γ = (1 + 1/N) Λ + (Tr Λ/N) 1."""
        return flowsim.tasks.in_context_moment(np.asarray(self.covariance), self.examples)

    def rotation(self, key):
        return jax.random.orthogonal(jax.random.fold_in(key, 1), len(self.covariance))

    def risk(self, A, key, covariance=None):
        """½E(y - ŷ)², for prompts of another covariance with the same eigenvectors if one is given."""
        U, lam = self.rotation(key), self.covariance if covariance is None else covariance
        return flowsim.tasks.in_context_risk(U.T @ A @ U, covariance=lam, examples=self.examples)

    def start_size(self):
        return self.sigma

    def problem(self, key):
        D = len(self.covariance)
        theta = jax.random.normal(jax.random.fold_in(key, 2), (D, D))
        shape = theta @ theta.T
        start = {"u": jnp.asarray(self.sigma), "U": self.sigma * shape / jnp.linalg.norm(shape)}

        def risk(p):
            return self.risk(p["u"] * p["U"], key) + self.ridge * (p["u"] ** 2 + jnp.sum(p["U"] ** 2))

        return flowsim.Problem.from_loss(risk, start)

    def claims(self, key):
        U, shifted = self.rotation(key), 2 * np.asarray(self.covariance)
        probes = {
            "coefficients": lambda p: U.T @ (p["u"] * p["U"]) @ U,
            "u": lambda p: p["u"],
            "balance": lambda p: p["u"] ** 2 - jnp.sum(p["U"] ** 2),
            "shifted_risk": lambda p: self.risk(p["u"] * p["U"], key, shifted),
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes)
        return [*self._head(make), *self._risks(make)]

    def _arrived(self, evidence):
        """The start condition of Theorem 4.1, and convergence."""
        condition = self.sigma**2 * np.max(self.preconditioner) * np.sqrt(len(self.covariance))
        if condition >= 2:
            raise flowsim.claims.NotReachedError(f"σ²‖Γ‖√d = {condition:.3g} is not below 2")
        converged(evidence, 1e-9)

    def _head(self, make):
        gamma = self.preconditioner

        @make(id="balance", rule="within 10 error bands of its start at every saved time")
        def balance(evidence):
            """u² - ‖U‖²_F is conserved."""
            return conserved(evidence, "balance", scale=float(np.sqrt(np.sum(gamma**-2.0))))

        @make(id="limit", rule="within 1e-7 of the largest entry once the gradient's norm is below 1e-9")
        def limit(evidence):
            """From σ²‖Γ‖√d < 2 the flow converges to u U = Γ⁻¹ with u = ‖Γ⁻¹‖_F^½ (Theorem 4.1)."""
            self._arrived(evidence)
            final = evidence.value("coefficients")
            apart = abs(final - np.diag(1 / gamma))
            worst = int(np.argmax(np.ravel(apart.value)))
            largest = Measured(np.ravel(apart.value)[worst], np.ravel(apart.error)[worst], "largest distance from Γ⁻¹")
            norm = float(np.sum(gamma**-2.0) ** 0.25)
            return Finding.of(apart < 1e-7 / np.min(gamma), largest) & near(evidence.value("u"), norm, 1e-7)

        return [balance, limit]

    def _risks(self, make):
        gamma, lam = self.preconditioner, np.asarray(self.covariance)
        shifted = 2 * lam

        @make(id="risk of the limit", rule="relatively within 1e-7 once the gradient's norm is below 1e-9")
        def risk(evidence):
            """The limit's risk is ½(Tr Λ - Tr(Λ² Γ⁻¹))."""
            self._arrived(evidence)
            return near(evidence.value("loss"), 0.5 * float(np.sum(lam - lam**2 / gamma)), 1e-7)

        @make(
            id="covariate shift",
            rule="with 2Λ in place of Λ its risk is the formula's for A = Γ⁻¹, relatively within 1e-7, and above the "
            "least risk for 2Λ",
        )
        def shift(evidence):
            """On prompts of another covariance the trained head is not the best linear predictor in context (section
            4.3)."""
            self._arrived(evidence)
            there = flowsim.tasks.in_context_moment(shifted, self.examples)
            exact = 0.5 * np.sum(shifted - 2 * shifted**2 / gamma + shifted**2 * there / gamma**2)
            best = 0.5 * float(np.sum(shifted - shifted**2 / there))
            final = evidence.value("shifted_risk")
            return near(final, float(exact), 1e-7) & Finding.of(final > best, Measured(best, 0.0, "least risk for 2Λ"))

        return [risk, shift]
