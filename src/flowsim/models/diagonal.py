"""Diagonal linear networks."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .model import AbstractModel


class DiagonalLinear(AbstractModel):
    """F(x) = βᵀx with β = u∘u - v∘v, for every output.

    When to use it: u∘v is conserved, and the flow from u = v = α is mirror descent in β, whose limit among the
    interpolators goes from minimum ℓ₂ norm (α → ∞) to minimum ℓ₁ norm (α → 0).

    **Arguments:** `features`, `outputs`: sizes; `scale`: α.

    **Reference:** Woodworth et al. (2020), Kernel and rich regimes in overparametrized models, section 4.
    """

    u: Float[Array, "outputs features"]
    v: Float[Array, "outputs features"]

    def __init__(self, *, features: int, outputs: int = 1, scale: float = 1.0):
        for name, size in (("features", features), ("outputs", outputs)):
            _checks.count(name, size)
        if not scale > 0:
            raise ValueError(f"scale must be > 0, got {scale}.")
        self.u = self.v = jnp.full((outputs, features), float(scale))

    def trainable(self) -> Any:
        return jax.tree.map(lambda _: True, self)

    def __call__(self, x: Float[Array, "features"]) -> Float[Array, "outputs"]:
        return self.predictor() @ x

    def predictor(self) -> Float[Array, "outputs features"]:
        """β."""
        return self.u**2 - self.v**2
