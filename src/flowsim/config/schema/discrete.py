"""`discrete`: the same start trained by an optimiser's steps, for comparison with the flow."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Count, Positive, Section


class DiscreteConfig(Section):
    """**Fields:** `momentum`: of `sgd` only; None for none. `against_flow`: measure at every step how far it is from
    the flow; `tube`: ε, the relative distance whose first excess is reported.
    """

    optimizer: Literal["sgd", "adam", "adagrad", "rmsprop"] = "sgd"
    learning_rate: Positive
    steps: Count
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    against_flow: bool = True
    tube: Positive = 0.01
