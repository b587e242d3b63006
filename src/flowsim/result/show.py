"""A result as a person reads it: a few lines of text, or a small table with a curve."""

import html
from collections.abc import Iterator, Sequence

import numpy as np

from ..certificate import Certificate
from ..records import EventRecord, SolverRecord, Status, Trajectory

_SHOWN = 8  # events, and scalar probes at the end
_WIDTH, _HEIGHT = 160, 36  # of the curve, in pixels


def lines(
    status: Status,
    solver: SolverRecord,
    trajectory: Trajectory,
    events: Sequence[EventRecord],
    certificate: Certificate | None,
) -> Iterator[tuple[str, str]]:
    """(name, text) of what a person wants to know first."""
    remedy = "" if status.ok or not status.remedy else f"; {status.remedy}"
    yield "status", f"{status.kind} at t = {status.time:.6g} ({status.message}){remedy}"
    scalars = [(k, float(v[-1])) for k, v in trajectory.values.items() if v.ndim == 1 and len(v)]
    if scalars:
        yield "final", ", ".join(f"{name} {value:.6g}" for name, value in scalars[:_SHOWN]) + _more(scalars)
    for event in events[:_SHOWN]:
        yield event.name, event.text
    if len(events) > _SHOWN:
        yield "events", f"{len(events) - _SHOWN} more"
    method = " then ".join([solver.kind, *(switch.kind for switch in solver.switches[:3])])
    counts = f"{solver.steps} steps, {solver.rejected} rejected, {solver.gradients}"
    how = f"rtol {solver.rtol:.1e}{', compensated' if solver.compensated else ''}"
    yield "solver", f"{method} ({how}), {counts}, reduction {solver.reduction}"
    if solver.kinks is not None:
        yield "kinks", solver.kinks.text
    yield "saved", f"{len(trajectory.time)} times of {len(trajectory.values)} variables"
    error = "not computed yet" if certificate is None else f"relative error ≤ {certificate.relative_error:.1e}"
    yield "certificate", error


def sparkline(trajectory: Trajectory, name: str = "loss") -> str:
    """A scalar probe against log time as a small SVG, empty where there is nothing to draw."""
    values = trajectory.values.get(name)
    if values is None or values.ndim != 1:
        return ""
    keep = (trajectory.time > 0) & np.isfinite(values)
    if keep.sum() < 2:
        return ""
    x, y = np.log(trajectory.time[keep]), np.asarray(values[keep], float)
    if y.min() > 0 and y.max() > 10 * y.min():
        y = np.log(y)
    x = (x - x[0]) / max(x[-1] - x[0], 1e-300) * (_WIDTH - 4) + 2
    y = (y.max() - y) / max(y.max() - y.min(), 1e-300) * (_HEIGHT - 4) + 2
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    line = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
    return f'<div><svg {size} role="img" aria-label="{html.escape(name)} against time">{line}</svg></div>'


def _more(scalars: Sequence) -> str:
    return "" if len(scalars) <= _SHOWN else f" and {len(scalars) - _SHOWN} more"
