"""Solvers: a name becomes a Diffrax solver with its step-size control and its cost."""

from ._method import Method, check_tolerances, smallest_rtol
from ._registry import choose, kinds, make

__all__ = ["Method", "check_tolerances", "choose", "kinds", "make", "smallest_rtol"]
