"""An optimizer's steps against the flow, as a person reads them."""

from ..store import DescentOrder, DescentRun, DescentSummary
from .numbers import error, number
from .parts import Section, Table

_WHAT = (
    "Distances are between the parameters after step k and the flow at the time of that step, over the distance that "
    "the flow travels. An event's shift is its time on descent less its time on the flow. Descent on a quadratic is "
    "stable while learning rate × sharpness is below the limit."
)


def section(record: DescentSummary | None) -> Section:
    """Tables of the runs and of the fitted orders."""
    title = "Descent against the flow"
    if record is None or not record.runs:
        return Section(title)
    head = ("run", "distance at the end", "largest distance", "leaves the tube", "shifts of events", "stability")
    rows = [
        (
            _name(run),
            f"{_distance(run.final_distance)} at t = {number(run.time)}",
            f"{_distance(run.largest_distance)} at t = {number(run.largest_distance_time)}",
            _leaves(run),
            _shifts(run) or "–",
            _edge(run) or "–",
        )
        for run in record.runs
    ]
    tables = [Table(head, tuple(rows))]
    if record.orders:
        fits = tuple((fit.optimizer, fit.against, _quantity(fit), _order(fit)) for fit in record.orders)
        tables.append(Table(("optimizer", "against", "quantity", "order in the learning rate"), fits))
    return Section(title, (_WHAT,), tuple(tables))


def lines(record: DescentSummary | None) -> list[str]:
    """A line for each run and each fitted order, for a terminal."""
    if record is None:
        return []
    found = []
    for run in record.runs:
        parts = (f"{_distance(run.final_distance)} from it at t = {number(run.time)}", _leaves(run), _shifts(run))
        found.append(f"{_name(run)}: " + "; ".join(filter(None, (*parts, _edge(run)))))
    found += [f"order of the {_quantity(fit)}, {fit.against}: {_order(fit)}" for fit in record.orders]
    return found


def _name(run: DescentRun) -> str:
    return f"{run.optimizer}, η = {number(run.learning_rate)}, against the {run.against}"


def _distance(value: float | None) -> str:
    return "diverged" if value is None else error(value)


def _leaves(run: DescentRun) -> str:
    tube = number(run.tube)
    if run.exit_step is None:
        return f"stays in the tube of {tube}"
    return f"leaves the tube of {tube} at step {run.exit_step}, t = {number(run.exit_time)}"


def _shifts(run: DescentRun) -> str:
    said = []
    for name, event in run.events.items():
        if event.shift is not None:
            said.append(f"{name} {event.shift:+.2g}")
        elif event.flow is not None or event.descent is not None:
            said.append(f"{name} on {'the flow' if event.descent is None else 'descent'} only")
    return "shift of " + ", ".join(said) if said else ""


def _edge(run: DescentRun) -> str:
    edge = run.edge
    if edge is None:
        return ""
    largest = f"η × sharpness up to {number(edge.largest, 3)}"
    if edge.limit is None:
        return largest
    beyond = edge.first_time_beyond
    where = "never above" if beyond is None else f"from t = {number(beyond, 3)} on above"
    return f"{largest}, {where} {number(edge.limit)}"


def _quantity(fit: DescentOrder) -> str:
    return fit.quantity if fit.quantity.endswith("distance") else f"shift of {fit.quantity}"


def _order(fit: DescentOrder) -> str:
    if fit.order is None:
        return f"none: {fit.reason}"
    if fit.standard_error is None:
        return "none: two learning rates give no interval, three do"
    return f"{fit.order:.3f} ± {fit.standard_error:.1g} ({len(fit.learning_rates)} learning rates)"
