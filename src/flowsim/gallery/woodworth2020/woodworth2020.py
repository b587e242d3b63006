"""Woodworth et al. (COLT 2020), Pesme, Flammarion (NeurIPS 2023): diagonal linear networks, kernel and rich regimes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.linalg import null_space
from scipy.optimize import linprog

import flowsim
from flowsim.claims import Finding, Measured, agrees, all_of, conserved

SOURCE = "Woodworth et al., COLT 2020"


@flowsim.kind("problem", "woodworth2020")
class Woodworth2020(flowsim.config.ProblemKind):
    """Diagonal linear network β = u∘u - v∘v on underdetermined least squares, from several scales at once.

    (1/2n)‖Xβ - y‖² with Gaussian X and labels y = Xβ* + noise, β* = 1 in the first `support` entries, 0 elsewhere;
    u(0) = v(0) = α 1 in one copy for each α of `scales`, and the risk is the sum over copies.
    """

    scales: tuple[float, ...] = Field(default=(3.0, 0.3, 0.003), min_length=1, description="The initial scales α.")
    samples: int = Field(default=6, ge=1, description="n.")
    inputs: int = Field(default=12, ge=2, description="Dimension of the inputs.")
    support: int = Field(default=2, ge=1, description="Entries of the target that are not 0.")
    tilt: float = Field(default=0.0, ge=0, description="Spread of ln α over the entries: breaks the limits.")
    noise: float = Field(default=0.5, ge=0, description="Size of Gaussian noise on the labels.")

    def check(self, experiment):
        if self.samples >= self.inputs:
            yield flowsim.config.Remark(
                ("samples",), f"must be below problem.inputs = {self.inputs}: several β must fit"
            )
        if self.support > self.inputs:
            yield flowsim.config.Remark(("support",), f"must be at most problem.inputs = {self.inputs}")

    def data(self, key):
        """X: (samples, inputs), y: (samples,)."""
        X = jax.random.normal(key, (self.samples, self.inputs))
        noise = self.noise * jax.random.normal(jax.random.fold_in(key, 1), (self.samples,))
        return X, jnp.sum(X[:, : self.support], axis=1) + noise

    def problem(self, key):
        X, y = self.data(key)
        tilt = self.tilt * jax.random.normal(jax.random.fold_in(key, 2), (self.inputs,))
        start = jnp.outer(jnp.asarray(self.scales), jnp.exp(tilt))

        def risk(p):
            return 0.5 * jnp.sum((predictor(p) @ X.T - y) ** 2) / self.samples

        return flowsim.Problem.from_loss(risk, {"u": start, "v": start})

    def start_size(self):
        return min(self.scales)

    def limit(self, key, scale, residual=0.0):
        """The interpolator, or the β with this residual, that minimizes Σ β arcsinh(β/2α²) - √(β² + 4α⁴).

        It is β = 2α² sinh(Xᵀν) with the ν for which Xβ = y + residual.
        """
        X, y = (np.asarray(x, np.float64) for x in self.data(key))
        return _mirror_limit(X, y + np.asarray(residual), 2 * scale**2)

    def claims(self, key):
        X, y = self.data(key)
        free = jnp.asarray(null_space(np.asarray(X)))
        alpha = jnp.asarray(self.scales)[:, None]
        probes = {
            "beta": predictor,
            "product": lambda p: p["u"] * p["v"],
            "off_the_span": lambda p: jnp.arcsinh(predictor(p) / (2 * alpha**2)) @ free,
            "residual": lambda p: predictor(p) @ X.T - y,
        }
        make = functools.partial(flowsim.claim, source=SOURCE, probes=probes)
        return [*self._mirror(make, free.shape[1]), *self._limits(make, key)]

    def _mirror(self, make, dependent):
        @make(id="conserved u∘v", rule="within 10 error bands of its start at every saved time")
        def product(evidence):
            """u∘v = α² is conserved in every entry."""
            return conserved(evidence, "product", scale=max(1.0, *self.scales) ** 2)

        @make(id="mirror flow", rule="its part outside the span is within 10 error bands of 0 at every saved time")
        def mirror(evidence):
            """arcsinh(β/(2α²)) stays in the span of the inputs: the flow is mirror descent in β."""
            shape, size = (len(self.scales), dependent), 1 + float(np.log(1 + 1 / min(self.scales) ** 2))
            return agrees(evidence, "off_the_span", lambda t: np.zeros((len(t), *shape)), scale=size)

        return [product, mirror]

    def _limits(self, make, key):
        X, y = (np.asarray(x, np.float64) for x in self.data(key))

        @make(
            id="implicit bias",
            rule="the final β is that minimizer within 10 error bands and what the residual, below 1e-6, leaves to go",
        )
        def bias(evidence):
            """The limit minimizes Σ β arcsinh(β/2α²) - √(β² + 4α⁴) among all interpolators (Theorem 1)."""
            final, residual = evidence.value("beta"), evidence.value("residual")
            if np.max(np.abs(residual.value)) > 1e-6:
                return Finding({}, reason=f"the residual is {np.max(np.abs(residual.value)):.1e} at the end")
            exact = np.stack([self.limit(key, scale) for scale in self.scales])
            here = np.stack([self.limit(key, a, r) for a, r in zip(self.scales, residual.value, strict=True)])
            apart = abs(final - exact)
            allowed = 10 * final.error + 2 * np.abs(here - exact) + 1e-12 * np.max(np.abs(exact))
            largest = int(np.argmax(apart.value))
            shown = Measured(np.ravel(apart.value)[largest], np.ravel(apart.error)[largest], "largest distance")
            # Compared as it is measured: its error bounds are in what is allowed.
            return Finding.of(Measured(apart.value) < allowed, shown)

        @make(
            id="sparse limit",
            rule="at the smallest α its ℓ₁ norm is within 1/ln(1/α²) of the linear program's, relatively, "
            "and is larger at every larger α",
        )
        def sparse(evidence):
            """For α → 0 the limit has the least ℓ₁ norm among all interpolators."""
            least = _least_l1(X, y)
            smallest = int(np.argmin(self.scales))
            final = evidence.value("beta")
            norms = [_l1(final[k]).named(f"ℓ₁ norm at α = {a:g}") for k, a in enumerate(self.scales)]
            if self.scales[smallest] > 0.1:
                return Finding({}, reason="the smallest α is above 0.1")
            excess = (norms[smallest] / least - 1.0).named("relative excess over the least ℓ₁ norm")
            found = Finding.of(excess < 1 / np.log(1 / self.scales[smallest] ** 2), excess, *norms)
            others = [norm for k, norm in enumerate(norms) if self.scales[k] > self.scales[smallest]]
            return all_of([found, *(Finding.compare(norms[smallest], "<", norm) for norm in others)])

        return [bias, sparse]


def predictor(p):
    """β = u∘u - v∘v."""
    return p["u"] ** 2 - p["v"] ** 2


def _l1(beta):
    return Measured(float(np.sum(np.abs(beta.value))), float(np.sum(beta.error)))


def _mirror_limit(X, y, width):
    """Newton's method on the dual, with halving: minimize Σ width cosh(Xᵀν) - yᵀν over ν."""
    nu = np.zeros(len(y))

    def dual(nu):
        return width * np.sum(np.cosh(np.clip(X.T @ nu, -700, 700))) - y @ nu

    for _ in range(200):
        z = X.T @ nu
        gradient = X @ (width * np.sinh(z)) - y
        step = np.linalg.solve((X * (width * np.cosh(z))) @ X.T, gradient)
        size = 1.0
        while dual(nu - size * step) > dual(nu) - 1e-4 * size * (gradient @ step) and size > 1e-10:
            size /= 2
        nu = nu - (size if size > 1e-10 else 1.0) * step
        if np.max(np.abs(step)) < 1e-14 * (1 + np.max(np.abs(nu))):
            break
    return width * np.sinh(X.T @ nu)


def _least_l1(X, y):
    inputs = X.shape[1]
    found = linprog(np.ones(2 * inputs), A_eq=np.hstack([X, -X]), b_eq=y, bounds=(0, None), method="highs")
    return float(found.fun)
