"""Vector fields: each with `init`, `velocity`, `parameters` and the `energy` that it dissipates."""

from ._flow import AbstractFlow
from ._gradient import Gradient, gradient

__all__ = ["AbstractFlow", "Gradient", "gradient"]
