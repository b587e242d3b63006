"""A problem: a risk, and the parameters that descend on it."""

from .problem import Metric, Problem

__all__ = ["Metric", "Problem"]
