"""`flow`: the differential equation, how long it runs, and the exact reduction it is solved in."""

from typing import Annotated, Literal

from ._base import Positive, Section, ShortKind


class GradientFlow(Section):
    """dθ/dt = -∇loss from t = 0 to `t1`; `reduction`: see specification section 9."""

    kind: Literal["gradient"] = "gradient"
    t1: Positive
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary", "gram"] = "auto"


FlowConfig = Annotated[GradientFlow, ShortKind]
