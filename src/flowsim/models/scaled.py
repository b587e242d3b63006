"""A model's output, multiplied by a number and measured from where it starts: from lazy to rich."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PyTree

from .. import _checks
from .model import AbstractModel, trained


class ScaledOutput(AbstractModel):
    """F(x) = α (f(x; θ) - f(x; θ_0)).

    θ_0 is what `init.centered` takes as the start; without it nothing is subtracted. The loss is of F and is not
    divided by α² (Chizat and Bach's convention): for a squared loss times shrink like 1/α².

    When to use it: α decides between lazy (large) and rich (small) learning at the same function space and start.

    **Arguments:** `network`: any unbatched model; `scale`: α > 0.

    **Reference:** Chizat, Oyallon, Bach (2019), On lazy training in differentiable programming, Equation 2.
    """

    network: PyTree
    origin: PyTree | None
    scale: float = eqx.field(static=True)

    def __init__(self, network: PyTree, *, scale: float = 1.0):
        if isinstance(network, type) or not callable(network):
            raise TypeError(
                f"network must be an Equinox module that takes one sample, got {_checks.described(network)}."
            )
        self.network, self.origin = network, None
        self.scale = _checks.positive("scale", scale)

    @property
    def vocabulary(self) -> int | None:
        return getattr(self.network, "vocabulary", None)

    def trainable(self) -> Any:
        still = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda m: m.network, still, trained(self.network))

    def __call__(self, x: Array) -> Array:
        if self.origin is None:
            return self.scale * self.network(x)
        return self.scale * (self.network(x) - jax.lax.stop_gradient(self.origin(x)))
