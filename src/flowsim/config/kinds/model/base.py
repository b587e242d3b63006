"""Fields that several models have."""

from typing import Annotated, Literal

from pydantic import Field

from ...base import Count, Listed

Activation = Literal["linear", "relu", "gelu", "tanh", "erf", "quadratic", "leaky_relu"]
Hidden = Annotated[tuple[Count, ...], Listed, Field(max_length=100)]
