"""`solver`: how the flow is integrated. One kind for each solver of `flowsim solvers`."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from ...solver_names import (
    AUTO,
    BY_KIND,
    COMPENSABLE,
    COMPENSATED,
    DEFAULT_TOLERANCES,
    SMALLEST_RTOL,
    SOLVERS,
    SYMMETRIC,
)
from ..base import Positive, Whole, about
from ..kind import Kind, kind, section_fields
from ..remark import Remark


@section_fields("solver")
class Solver(Kind):
    """A solver of `flowsim solvers` with its accuracy."""

    rtol: Positive | None = about(
        "Relative tolerance of a step's error test; 1e-8 in float64, 1e-5 in float32 if not given.",
        None,
        example=1e-08,
        unit="1",
    )
    atol: Positive | None = about(
        "Absolute tolerance; 1e-10 in float64, 1e-7 in float32 if not given, or what a problem's small start needs.",
        None,
        example=1e-10,
        unit="weight",
    )
    step: Positive | None = about("A fixed step size instead of the error test.", None, example=0.01, unit="time")
    compensated: bool | None = about(
        "Carry along what rounding leaves out of the state; true in float32 and false in float64 if not given.",
        None,
        example=True,
    )
    max_steps: Annotated[Whole, Field(ge=1, le=10**9)] = about("Limit on attempted steps.", 1_000_000)
    target_error: Positive | None = about(
        "Tighten the tolerances until the certified relative error is below it.", None, example=1e-08, unit="1"
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        flow = experiment.flow
        plain = flow.traits.symmetric and not flow.adjusted and flow.reduction != "gram"
        if self.kind in SYMMETRIC and not plain:
            yield Remark(
                ("solver", "kind"), f"must not be {self.kind} here: it is for flows whose Jacobian is symmetric, which "
                "are plain gradient and modified_gradient flows in any reduction but gram", "take stabilized",
            )  # fmt: skip

    def build(self, context: Any) -> Any:
        """None: `simulation.prepare` makes flowsim's own solvers from their names."""
        return None


def solver_remarks(solver: Any, experiment: Any) -> Iterator[Remark]:
    """What must hold between any solver and the rest."""
    yield from _tolerance(solver, experiment.precision)
    yield from _target(solver, experiment)
    yield from _step(solver, experiment.flow)
    if solver.compensated and solver.kind in BY_KIND and solver.kind not in COMPENSABLE:
        what = f"must be left out with {solver.kind}, whose steps are no sums of slopes"
        yield Remark(("solver", "compensated"), what, "take an explicit or a stabilized method")


def _tolerance(solver: Any, precision: str) -> Iterator[Remark]:
    floor = SMALLEST_RTOL[precision]
    if solver.rtol is not None and solver.rtol < floor:
        better = " or use precision: float64" if precision == "float32" else ""
        what = f"must be at least {floor:g} in {precision}, whose rounding is about as large"
        yield Remark(("solver", "rtol"), what, f"raise it{better}")


def _target(solver: Any, experiment: Any) -> Iterator[Remark]:
    if solver.target_error is None:
        return
    if solver.step is not None:
        yield Remark(("solver", "target_error"), "must be left out with a fixed solver.step, which has no tolerances")
    if experiment.certificate.method == "none":
        what = "must come with a certificate, which says what the error is"
        yield Remark(("solver", "target_error"), what, "set certificate: true")


def _step(solver: Any, flow: Any) -> Iterator[Remark]:
    if solver.step is None:
        if solver.kind in BY_KIND and not BY_KIND[solver.kind].adaptive:
            why = f"{solver.kind} has no error estimate and needs a fixed step size"
            yield Remark(("solver", "step"), f"is missing; {why}")
        return
    if solver.kind == "auto":
        yield Remark(("solver", "step"), "must come with a solver by name", "set solver.kind, or remove step")
    if solver.step > flow.t1:
        yield Remark(("solver", "step"), f"must be at most flow.t1 = {flow.t1:g}")
    elif flow.t1 / solver.step > solver.max_steps:
        least = flow.t1 / solver.max_steps
        what = f"must be at least flow.t1 / solver.max_steps = {least:.3g}"
        yield Remark(("solver", "step"), what, "raise it, or raise max_steps")


def filled(solver: Any, precision: str, start_size: float | None = None) -> Any:
    """The solver with what suits the precision, and tolerances that suit the size of the start, where nothing is given.

    Weights of size s that grow have to be followed to rtol of themselves: atol is as far below rtol · s as it is
    below rtol by default, for weights of size 1.
    """
    rtol, atol = DEFAULT_TOLERANCES[precision]
    ratio, rtol = atol / rtol, solver.rtol or rtol
    if start_size:
        atol = min(atol, ratio * rtol * start_size)
    compensated = solver.compensated
    if compensated is None and solver.kind in ("auto", *COMPENSABLE):
        compensated = precision in COMPENSATED
    return solver.model_copy(update={"rtol": rtol, "atol": solver.atol or atol, "compensated": compensated})


def _register(name: str, use: str) -> type[Solver]:
    words = "".join(part.capitalize() for part in name.split("_"))
    return kind("solver", name)(type(f"{words}Solver", (Solver,), {"__doc__": use, "__module__": __name__}))


OF_TABLE = {"auto": _register("auto", AUTO), **{info.kind: _register(info.kind, info.use) for info in SOLVERS}}
