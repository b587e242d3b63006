"""`probes`: what is measured beside the standard set."""

from typing import Annotated, Literal

from pydantic import Field

from ._base import Section, ShortKind, Whole


class Sharpness(Section):
    """The `count` largest eigenvalues of the Hessian of the loss by `steps` Lanczos steps at every saved time."""

    kind: Literal["sharpness"] = "sharpness"
    count: Annotated[Whole, Field(ge=1, le=24)] = 1
    steps: Annotated[Whole, Field(ge=24, le=1000)] = 24


ProbeConfig = Annotated[Sharpness, ShortKind]
