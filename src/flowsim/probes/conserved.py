"""Drift of what the exact flow conserves, along the run: the integrator's error, or how far descent leaves the flow."""

import equinox as eqx
from jaxtyping import Array, Float

from ..invariants import Product, drift
from ..moment import Moment
from .probe import Probe


class _Drift(eqx.Module):
    product: Product = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        return drift(self.product, moment.problem.parameters, moment.parameters)


def drift_probe(product: Product) -> Probe:
    """`invariant_<name>(time)`: relative drift since t = 0 of AᵀA - BBᵀ for a pair that enters the risk as A B."""
    text = f"relative drift of the invariant {product.name}, 0 for an exact flow"
    return Probe(f"invariant_{product.name}", (), text, "1", _Drift(product))
