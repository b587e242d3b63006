"""Solvers: a name becomes a Diffrax solver with its step-size control and its cost."""

from .compensated import Compensated, compensates
from .exponential import Exponential
from .method import Method, check_tolerances, smallest_rtol
from .registry import cannot_compensate, choose, choose_lean, choose_stiff, is_diffrax, kinds, make, of_diffrax
from .spectrum import spectral_radius
from .stabilized import Stabilized
from .stabilized4 import Stabilized4
from .tableau import Tableau, tableau

__all__ = [
    "Compensated",
    "Exponential",
    "Method",
    "Stabilized",
    "Stabilized4",
    "Tableau",
    "cannot_compensate",
    "check_tolerances",
    "choose",
    "choose_lean",
    "choose_stiff",
    "compensates",
    "is_diffrax",
    "kinds",
    "make",
    "of_diffrax",
    "smallest_rtol",
    "spectral_radius",
    "tableau",
]
