"""The order of gradient descent's distance to the gradient flow, and to the modified flow, in the learning rate."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import flows
from ..descent import Drift, against_flow, optimizer
from ..events import Event
from ..problem import Problem
from .order import Order, fit_order

_FLOW, _MODIFIED = "gradient flow", "modified flow"


@dataclasses.dataclass(frozen=True)
class FittedOrder:
    """An order in η, fitted over runs of one optimizer against one flow.

    **Fields:** `quantity`: `final distance`, `largest distance`, or an event's name for the shift of its time;
    `learning_rates`: of the runs that were fitted, all below the edge of stability as far as that was measured;
    `order`: None where there is none to fit, for a `reason`.
    """

    optimizer: str
    against: str
    quantity: str
    learning_rates: tuple[float, ...]
    order: Order | None
    reason: str = ""

    def __str__(self) -> str:
        if self.order is None:
            return f"none: {self.reason}"
        if self.order.standard_error is None:
            return "none: two learning rates give no interval, three do"
        return f"{self.order} ({len(self.learning_rates)} learning rates)"

    def record(self) -> dict:
        """As plain data, for `summary.json`."""
        order = self.order
        return {
            "optimizer": self.optimizer,
            "against": self.against,
            "quantity": self.quantity,
            "learning_rates": list(self.learning_rates),
            "order": None if order is None else order.order,
            "standard_error": None if order is None else order.standard_error,
            "reason": self.reason,
        }


def fitted_orders(drifts: Sequence[Drift]) -> tuple[FittedOrder, ...]:
    """The orders of final distance, largest distance and event shifts, wherever two learning rates of one optimizer
    were run against one flow."""
    groups: dict[tuple[str, str], list[Drift]] = {}
    for drift in drifts:
        groups.setdefault((drift.optimizer, drift.against), []).append(drift)
    return tuple(
        fitted for group in groups.values() if len({d.learning_rate for d in group}) > 1 for fitted in _of_group(group)
    )


def _of_group(group: list[Drift]) -> list[FittedOrder]:
    values: dict[str, list[float | None]] = {
        "final distance": [d.final_distance for d in group],
        "largest distance": [d.largest_distance for d in group],
        **{name: [d.events[name].shift for d in group] for name in group[0].events},
    }
    ends = [d.end for d in group]
    apart = bool(max(ends) > min(ends) * (1 + 1e-6))
    return [_fit(group, name, found, apart and name.endswith("distance")) for name, found in values.items()]


def _fit(group: list[Drift], quantity: str, values: list[float | None], apart: bool) -> FittedOrder:
    # Beyond the edge of stability the distance is that of an oscillation, which has no order.
    stable = [d.beyond_edge is None for d in group]
    values = [v for v, below in zip(values, stable, strict=True) if below]
    rates = tuple(d.learning_rate for d, below in zip(group, stable, strict=True) if below)
    order, reason = None, ""
    sizes = [abs(v) for v in values if v is not None]
    if len(set(rates)) < 2:
        reason = f"{len(rates)} of {len(group)} learning rates stayed below the edge of stability: take smaller ones"
    elif apart:
        reason = "the runs end at different times: give each learning rate the steps that reach the same one"
    elif len(sizes) < len(values):
        reason = "the event did not happen in every run"
    elif not all(math.isfinite(v) and v > 0 for v in sizes):
        reason = "a value is 0 or not finite"
    else:
        order = fit_order(rates, sizes)
    return FittedOrder(group[0].optimizer, group[0].against, quantity, rates, order, reason)


@dataclasses.dataclass(frozen=True)
class DescentOrder:
    """What `descent_order` returns.

    **Fields:** `learning_rates`, `t1`; `to_flow`, `to_modified`: a `Drift` for each η, against the gradient flow and
    against the modified flow of that η; `fits`: every fitted order.
    """

    learning_rates: tuple[float, ...]
    t1: float
    to_flow: tuple[Drift, ...]
    to_modified: tuple[Drift, ...]
    fits: tuple[FittedOrder, ...]

    @property
    def order(self) -> Order | None:
        """Of the final distance to the gradient flow: 1 for small η. None if descent diverged."""
        return self._of(_FLOW)

    @property
    def modified_order(self) -> Order | None:
        """Of the final distance to the modified flow: 2 for small η. None if descent diverged."""
        return self._of(_MODIFIED)

    def _of(self, against: str) -> Order | None:
        return next(f.order for f in self.fits if f.against == against and f.quantity == "final distance")

    def dataset(self):
        """As an `xarray.Dataset` with dimensions `against`, `learning_rate`, `event`; what did not happen is NaN."""
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        rows = (self.to_flow, self.to_modified)
        names = list(self.to_flow[0].events)

        def table(read: Callable[[Drift], float | None]) -> np.ndarray:
            return np.array([[math.nan if (x := read(d)) is None else x for d in row] for row in rows], float)

        shifts = [table(lambda d, name=name: d.events[name].shift) for name in names]
        both = ("against", "learning_rate")
        data = {
            "final_distance": (both, table(lambda d: d.final_distance), {"long_name": "relative distance at the end"}),
            "largest_distance": (both, table(lambda d: d.largest_distance), {"long_name": "largest over all steps"}),
            "exit_step": (both, table(lambda d: d.exit_step), {"long_name": "first step outside the tube"}),
            "event_shift": (
                (*both, "event"),
                np.stack(shifts, -1) if names else np.zeros((2, len(self.learning_rates), 0)),
                {"long_name": "time of the event on descent less the flow's"},
            ),
        }
        coordinates = {"against": [_FLOW, _MODIFIED], "learning_rate": list(self.learning_rates), "event": names}
        return xarray.Dataset(data, coordinates, {"t1": self.t1, "tube": self.to_flow[0].tube})

    def document(self) -> dict[str, Any]:
        """As plain data for JSON."""
        runs = [drift.record() for drift in (*self.to_flow, *self.to_modified)]
        return {"runs": runs, "orders": [fit.record() for fit in self.fits]}

    def table(self) -> str:
        """For a terminal."""
        head = f"{'against':<15}{'learning rate':>14}{'final':>10}{'largest':>10}{'leaves tube at t':>18}"
        head += f"{'unstable from t':>17}"
        names = list(self.to_flow[0].events)
        head += "".join(f"{'shift of ' + name:>{len(name) + 12}}" for name in names)
        rows = []
        for drift in (*self.to_flow, *self.to_modified):
            left = "never" if drift.exit_time is None else f"{drift.exit_time:.4g}"
            row = f"{drift.against:<15}{drift.learning_rate:>14.4g}{drift.final_distance:>10.2e}"
            row += f"{drift.largest_distance:>10.2e}{left:>18}{_unstable(drift):>17}"
            shifts = [(name, drift.events[name].shift) for name in names]
            rows.append(row + "".join(f"{'-' if s is None else f'{s:.2e}':>{len(n) + 12}}" for n, s in shifts))
        orders = [f"order of {f.quantity}, {f.against}: {f}" for f in self.fits]
        foot = f"Distances to t = {self.t1:g}, over the distance travelled; tube of {self.to_flow[0].tube:g}."
        return "\n".join([head, *rows, foot, *orders])


def _unstable(drift: Drift) -> str:
    """From when on its learning rate was seen to be beyond the edge of stability; such a run is in no fit."""
    if not len(drift.edge):
        return "not measured"
    return "never" if drift.beyond_edge is None else f"{drift.beyond_edge:.4g}"


def descent_order(
    problem: Problem,
    learning_rates: Sequence[float],
    t1: float,
    *,
    events: Sequence[Event] = (),
    tube: float = 0.01,
    edge_points: int = 30,
    reduction: str = "auto",
    solver: str = "auto",
    rtol: float | None = None,
    max_steps: int = 1_000_000,
    progress: Callable[[str], None] | None = None,
) -> DescentOrder:
    """Measure how descent's distance to the flow falls with the learning rate η.

    For every η, `t1`/η steps of gradient descent against the gradient flow, whose distance at `t1` is of order η, and
    against the modified flow of the same η (`flows.modified_gradient`), whose distance is of order η².

    Learning rates that are seen to be beyond the edge of stability are in no fitted order.

    **Arguments:** `learning_rates`: two or more. `t1`: end, a whole number of steps of each. The rest, which can be
    left alone, as for `against_flow`; `edge_points`: 0 fits them all; `progress`: told what comes next.

    **Raises:** `ValueError` for learning rates that are not so, or if a flow fails.
    """
    rates = tuple(float(rate) for rate in learning_rates)
    counts = _counts(rates, t1)
    found: dict[str, list[Drift]] = {_FLOW: [], _MODIFIED: []}
    for rate, steps in zip(rates, counts, strict=True):
        for against, flow in ((_FLOW, flows.gradient()), (_MODIFIED, flows.modified_gradient(rate))):
            if progress is not None:
                progress(f"learning rate {rate:g} against the {against}")
            drift = against_flow(
                problem, optimizer("sgd", rate), learning_rate=rate, steps=steps, step_time=t1 / steps,
                flow=flow, against=against, events=events, tube=tube, edge_points=edge_points, reduction=reduction,
                solver=solver, rtol=rtol, max_steps=max_steps,
            )  # fmt: skip
            found[against].append(drift)
    fits = fitted_orders([*found[_FLOW], *found[_MODIFIED]])
    return DescentOrder(rates, t1, tuple(found[_FLOW]), tuple(found[_MODIFIED]), fits)


def _counts(rates: tuple[float, ...], t1: float) -> list[int]:
    if len(set(rates)) < 2 or len(set(rates)) < len(rates):
        raise ValueError(f"an order needs two or more different learning rates, got {list(rates)}.")
    if not all(math.isfinite(x) and x > 0 for x in (*rates, t1)):
        raise ValueError(f"learning rates and t1 must be > 0 and finite, got {list(rates)} and {t1}.")
    for rate in rates:
        if round(t1 / rate) < 1 or abs(t1 / rate - round(t1 / rate)) > 1e-6 * t1 / rate:
            raise ValueError(
                f"t1 must be a whole number of steps of every learning rate; {t1:g} is not a multiple of {rate:g}."
            )
    return [round(t1 / rate) for rate in rates]
