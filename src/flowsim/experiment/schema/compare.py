"""`compare`: what `flowsim compare` puts on trial."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ...solver_names import CONTESTANTS
from ._base import Listed, Positive, Section, Whole, unknown


def _contestant(value: Any) -> Any:
    if value in CONTESTANTS:
        return value
    raise unknown(CONTESTANTS)


Contestant = Annotated[str, BeforeValidator(_contestant)]


class Compare(Section):
    """Solvers × tolerances.

    **Fields:** `solvers`: contestants, SciPy's and Optax's among them; `tolerances`: relative ones; `atol_ratio`:
    absolute over relative tolerance; `learning_rates`: of Optax's, and steps of `euler`; `reference`: the solver that
    the errors are measured against and the one that checks it, chosen if not given; `repeats`: timed repeats.
    """

    solvers: Annotated[tuple[Contestant, ...], Listed, Field(min_length=1, max_length=50)] = (
        "tsit5", "dopri8", "bosh3", "midpoint", "stabilized", "stabilized4",
    )  # fmt: skip
    tolerances: Annotated[tuple[Positive, ...], Listed, Field(min_length=1, max_length=50)] = (1e-4, 1e-5, 1e-6, 1e-7)
    atol_ratio: Positive = 1.0
    learning_rates: Annotated[tuple[Positive, ...], Listed, Field(max_length=50)] = ()
    reference: Annotated[tuple[Contestant, ...], Listed, Field(min_length=2, max_length=2)] | None = None
    repeats: Annotated[Whole, Field(ge=1, le=1000)] = 3
