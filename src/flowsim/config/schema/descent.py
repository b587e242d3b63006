"""`descent`: the same start trained by an optimizer's steps, for comparison with the flow."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ..base import Count, NotNegative, Positive, Section, about
from ..remark import Remark


class DescentConfig(Section):
    """A run of an optimizer from the same start."""

    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"] = Field(
        default="sgd", description="Whose steps are taken."
    )
    learning_rate: Positive = about("η, also the flow's time of one step.", example=0.01, unit="time")
    steps: Count = Field(description="How many steps.", examples=[1000])
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = about(
        "β of sgd with momentum; none for plain gradient descent.", None, example=0.9, unit="1"
    )
    weight_decay: NotNegative | None = about(
        "λ of adamw's decoupled weight decay; Optax's 1e-4 if not given.", None, example=0.01, unit="1/time"
    )
    against_flow: bool = Field(default=True, description="Measure at every step how far it is from the flow.")
    tube: Positive = about("ε, the relative distance whose first excess is reported.", 0.01, unit="1")


def descent_remarks(experiment: Any) -> Iterator[Remark]:
    """Which options an optimizer takes."""
    for i, run in enumerate(experiment.descent):
        if run.momentum is not None and run.optimizer != "sgd":
            what = f"must be left out for {run.optimizer}; only sgd takes it"
            yield Remark(("descent", i, "momentum"), what)
        if run.weight_decay is not None and run.optimizer != "adamw":
            what = f"must be left out for {run.optimizer}; only adamw takes it"
            yield Remark(("descent", i, "weight_decay"), what, "flow.weight_decay is for the flow")
