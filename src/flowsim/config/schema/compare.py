"""`compare`: what `flowsim compare` compares."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ...solver_names import CONTESTANTS
from ..base import Listed, Positive, Section, Whole, unknown
from ..remark import Remark


def _contestant(value: Any) -> Any:
    if value in CONTESTANTS:
        return value
    raise unknown(CONTESTANTS)


Contestant = Annotated[str, BeforeValidator(_contestant)]


class DescentOrder(Section):
    """Gradient descent against the gradient flow and the modified flow.

    **Fields:** `learning_rates`: two or more, each a whole number of times in flow.t1; `tube`: ε of the tube around
    the flow; `edge_points`: at how many steps of each run the sharpness is measured, 0 for none.
    """

    learning_rates: Annotated[tuple[Positive, ...], Listed, Field(min_length=2, max_length=50)]
    tube: Positive = 0.01
    edge_points: Annotated[Whole, Field(ge=0, le=1000)] = 0


class Compare(Section):
    """Solvers × tolerances; or descent's order, if `descent` is given.

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
    descent: DescentOrder | None = None


def whole_steps(experiment: Any) -> Iterator[Remark]:
    """Descent's order is fitted at one time, which every learning rate must reach."""
    compare, flow = experiment.compare, experiment.flow
    if compare.descent is None:
        return
    if not flow.traits.plain or flow.adjusted:
        what = "must come with the plain gradient flow"
        yield Remark(("compare", "descent"), what, "take flow.kind gradient, without changes")
    seen: list[float] = []
    for i, rate in enumerate(compare.descent.learning_rates):
        path, steps = ("compare", "descent", "learning_rates", i), flow.t1 / rate
        if rate in seen:
            yield Remark(path, "must be listed once")
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-6 * steps:
            yield Remark(path, f"must be a whole number of times in flow.t1 = {flow.t1:g}")
        seen.append(rate)
