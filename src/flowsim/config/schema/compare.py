"""`compare`: what `flowsim compare` compares."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ...solver_names import COMPARABLE, OPTAX
from ..base import Listed, Positive, Section, Whole, about, unknown
from ..remark import Remark


def _comparable(value: Any) -> Any:
    if value in COMPARABLE:
        return value
    raise unknown(COMPARABLE)


Comparable = Annotated[str, BeforeValidator(_comparable)]


class DescentOrder(Section):
    """Gradient descent against the gradient flow and the modified flow."""

    learning_rates: Annotated[tuple[Positive, ...], Listed, Field(min_length=2, max_length=50)] = about(
        "Two or more, each a whole number of times in flow.t1.", example=[0.1, 0.05], unit="time"
    )
    tube: Positive = about("ε of the tube around the flow.", 0.01, unit="1")
    edge_points: Annotated[Whole, Field(ge=0, le=1000)] = about(
        "At how many steps of each run the sharpness is measured, 0 for none. A run past the edge is in no fit.", 30
    )


class Compare(Section):
    """Solvers × tolerances; or descent's order, if `descent` is given."""

    solvers: Annotated[tuple[Comparable, ...], Listed, Field(min_length=1, max_length=50)] = about(
        "Methods to compare, SciPy's and Optax's among them (`flowsim solvers`).",
        (
            "tsit5",
            "dopri8",
            "bosh3",
            "midpoint",
            "stabilized",
            "stabilized4",
        ),
    )
    tolerances: Annotated[tuple[Positive, ...], Listed, Field(min_length=1, max_length=50)] = about(
        "Relative ones.", (1e-4, 1e-5, 1e-6, 1e-7), unit="1"
    )
    atol_ratio: Positive = about("Absolute over relative tolerance.", 1.0, unit="weight")
    learning_rates: Annotated[tuple[Positive, ...], Listed, Field(max_length=50)] = about(
        "Of Optax's methods, each a whole number of times in flow.t1, and steps of `euler`.",
        (),
        example=[0.01],
        unit="time",
    )
    reference: Annotated[tuple[Comparable, ...], Listed, Field(min_length=2, max_length=2)] | None = about(
        "The solver that errors are measured against and the one that checks it; chosen if not given.",
        None,
        example=["dopri8", "dop853"],
    )
    repeats: Annotated[Whole, Field(ge=1, le=1000)] = about("Timed repeats.", 3)
    descent: DescentOrder | None = about(
        "Gradient descent at several learning rates against the flow, instead of solvers.",
        None,
        example={"learning_rates": [0.1, 0.05]},
    )


def whole_steps(experiment: Any) -> Iterator[Remark]:
    """Descent is compared at one time, which every learning rate must reach."""
    compare, flow = experiment.compare, experiment.flow
    if compare.descent is None:
        if any(solver in OPTAX for solver in compare.solvers):
            yield from _whole(("compare", "learning_rates"), compare.learning_rates, flow.t1)
        return
    if not flow.traits.plain or flow.adjusted:
        what = "must come with the plain gradient flow"
        yield Remark(("compare", "descent"), what, "take flow.kind gradient, without changes")
    yield from _whole(("compare", "descent", "learning_rates"), compare.descent.learning_rates, flow.t1)


def _whole(path: tuple[str, ...], rates: Sequence[float], t1: float) -> Iterator[Remark]:
    for i, rate in enumerate(rates):
        steps = t1 / rate
        if rate in rates[:i]:
            yield Remark((*path, i), "must be listed once")
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-6 * steps:
            yield Remark((*path, i), f"must be a whole number of times in flow.t1 = {t1:g}")
