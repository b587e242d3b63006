"""Solvers: a name becomes a Diffrax solver with its step-size control and its cost."""

from ._exponential import Exponential
from ._method import Method, check_tolerances, smallest_rtol
from ._registry import choose, choose_stabilised, kinds, make
from ._spectrum import spectral_radius
from ._stabilized import Stabilized
from ._stabilized4 import Stabilized4

__all__ = [
    "Exponential",
    "Method",
    "Stabilized",
    "Stabilized4",
    "check_tolerances",
    "choose",
    "choose_stabilised",
    "kinds",
    "make",
    "smallest_rtol",
    "spectral_radius",
]
