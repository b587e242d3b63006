"""Exact smaller problems with the way back."""

from collections.abc import Callable

import equinox as eqx

from .._types import Parameters
from ..problem import Problem


class Reduction(eqx.Module):
    """A smaller problem with the same flow, and the way back.

    **Fields:** `name`; `problem`: the smaller one; `lift`: its parameters -> the original problem's, None for the
    identity; `reason`: why this one, in a sentence.
    """

    name: str = eqx.field(static=True)
    problem: Problem
    lift: Callable[[Parameters], Parameters] | None
    reason: str = eqx.field(static=True)


def reduce(problem: Problem, name: str = "auto") -> Reduction:
    return Reduction("none", problem, None, "asked for")
