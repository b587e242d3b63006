"""What a reduction is."""

from collections.abc import Callable

import equinox as eqx

from .._types import Parameters
from ..problem import Problem


class Reduction(eqx.Module):
    """A smaller problem with the same flow, and the way back.

    **Fields:**

    - `name`: as in an experiment file.
    - `problem`: the smaller problem; the loop knows nothing else.
    - `lift`: its parameters -> the original problem's; None where the two are the same, or where single parameters
      cannot be had (`recoverable` is False).
    - `reason`: why this one, in a sentence.
    - `recoverable`: can every parameter be recovered?
    """

    name: str = eqx.field(static=True)
    problem: Problem
    lift: Callable[[Parameters], Parameters] | None
    reason: str = eqx.field(static=True)
    recoverable: bool = eqx.field(static=True, default=True)


def identity(problem: Problem, reason: str) -> Reduction:
    """No reduction."""
    return Reduction("none", problem, None, reason)
