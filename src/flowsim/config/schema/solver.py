"""`solver`: how the flow is integrated."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ...solver_names import BY_KIND, DEFAULT_TOLERANCES
from .base import Positive, Section, ShortKind, Whole, unknown

SOLVER_KINDS = ("auto", *BY_KIND)


def _kind(value: Any) -> Any:
    if value in SOLVER_KINDS:
        return value
    raise unknown(SOLVER_KINDS)


class Solver(Section):
    """A solver of `flowsim solvers` with its accuracy.

    **Fields:** `rtol`, `atol`: tolerances of a step's error test; an experiment fills them in by its precision when
    they are not given; `step`: a fixed step size instead of the error test; `max_steps`: limit on attempted steps.
    """

    kind: Annotated[str, BeforeValidator(_kind)] = "auto"
    rtol: Positive | None = None
    atol: Positive | None = None
    step: Positive | None = None
    max_steps: Annotated[Whole, Field(ge=1, le=10**9)] = 1_000_000


SolverConfig = Annotated[Solver, ShortKind]


def filled(solver: Solver, precision: str) -> Solver:
    """The solver with the tolerances that suit the precision where none are given."""
    rtol, atol = DEFAULT_TOLERANCES[precision]
    return solver.model_copy(update={"rtol": solver.rtol or rtol, "atol": solver.atol or atol})
