"""`model`: what learns."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from ._base import Count, Section, wrong


def _width(value: Any) -> Any:
    """Widths are whole numbers, or `.inf` (also `inf`) for the limit of infinite width."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong("must be a whole number >= 1, or .inf")
    if value == "inf" or value == math.inf:
        return math.inf
    if isinstance(value, str) or value != value or value < 1 or value != int(value):
        raise wrong("must be a whole number >= 1, or .inf")
    if value > 10**15:
        raise wrong("must be at most 1e15, or .inf")
    return int(value)


def _spelled(value: int | float) -> int | str:
    """JSON has no infinity; `inf` reads back."""
    return "inf" if isinstance(value, float) else value


Width = Annotated[
    int | Annotated[float, Field(allow_inf_nan=True)],
    BeforeValidator(_width),
    PlainSerializer(_spelled, when_used="json"),
]


class CooccurrenceTransformer(Section):
    """The paper's model (specification section 2).

    **Fields:** `width`: m, or infinity for the limit; `neurons`: m1.
    """

    kind: Literal["cooccurrence_transformer"] = "cooccurrence_transformer"
    width: Width
    neurons: Count


ModelConfig = CooccurrenceTransformer
