"""Curves against closed forms, and quantities that are conserved."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .condition import Condition
from .evidence import Evidence
from .finding import Curve, Finding, NotReachedError
from .measured import Measured

BANDS = 10.0
"""How many of the run's own error bands a curve may be from its closed form."""


def agrees(
    evidence: Evidence,
    name: str,
    closed_form: Callable[[np.ndarray], Any] | np.ndarray,
    *,
    bands: float = BANDS,
    resolution: float = 1e-6,
    start: float = 0.0,
    end: float = np.inf,
) -> Finding:
    """The curve of `name` is within `bands` of its own error bands of a closed form, at every saved time.

    A run whose bands, times `bands`, exceed `resolution` of the curve's largest value cannot decide it: too close to
    call.

    **Arguments:** `closed_form`: `times -> values`, in the shape of the variable, or its values at the saved times;
    `start`, `end`: judge the saved times between the two only.

    **Raises:** `NotReachedError` if no time is saved between them.
    """
    time, curve = evidence.curve(name, start, end)
    if not len(time):
        raise NotReachedError(f"no time is saved between {start:g} and {end:g}")
    exact = np.asarray(closed_form(time) if callable(closed_form) else closed_form, np.float64)
    if exact.shape != np.shape(curve.value):
        raise ValueError(f"the closed form of {name} has shape {exact.shape}, the curve {np.shape(curve.value)}.")
    apart, error = np.abs(curve.value - exact), np.asarray(curve.error)
    scale = np.max(np.abs(exact), axis=0, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    far = ~(apart <= bands * error)
    margins = np.where(far, bands * error - apart, resolution * scale)
    condition = Condition(margins, np.where(far, 0.0, bands * error))
    measured = {
        f"{name}: largest distance / band": float(np.max(apart / error)),
        f"{name}: largest distance / largest value": float(np.max(apart / scale)),
        f"{name}: largest relative distance": _relative(apart, exact),
    }
    return Finding(measured, (condition,), curve=_drawn(time, name, curve.value, exact))


def conserved(evidence: Evidence, name: str, *, scale: float | None = None, bands: float = BANDS) -> Finding:
    """A quantity stays where it starts: within `bands` of its error bands at every saved time.

    **Arguments:** `scale`: what its error is measured against; by default its largest value.
    """
    time, curve = evidence.curve(name)
    size = float(np.max(np.abs(curve.value))) if scale is None else scale
    apart, error = np.abs(curve.value - curve.value[:1]), curve.error + curve.error[:1]
    far = ~(apart <= bands * error)
    margins = np.where(far, bands * error - apart, 1e-6 * (size or 1.0))
    condition = Condition(margins, np.where(far, 0.0, bands * error))
    measured = {f"{name}: largest drift": float(np.max(apart)), f"{name}: band": float(np.max(error))}
    return Finding(measured, (condition,), curve=_drawn(time, name, curve.value, None))


def near(quantity: Measured, value: float, within: float) -> Finding:
    """A measured number is within a fraction `within` of a predicted one."""
    apart = abs(quantity - value)
    label = quantity.label or "measured"
    off = (apart / abs(value)).named(f"{label}: distance / prediction")
    prediction: Mapping[str, float] = {f"{label}: prediction": float(value)}
    found = Finding.of(apart < within * abs(value), quantity.named(label), off)
    return found & Finding(prediction, found.conditions[:0])


def _relative(apart: np.ndarray, exact: np.ndarray) -> float:
    """The largest distance relative to the closed form's own value at that time, where it is not 0."""
    there = exact != 0
    return float(np.max(apart[there] / np.abs(exact[there]))) if np.any(there) else 0.0


def _drawn(time: np.ndarray, name: str, values: np.ndarray, exact: np.ndarray | None) -> Curve:
    rows, lines = values.reshape(len(time), -1), {}
    for i in range(min(rows.shape[1], 3)):
        label = name if rows.shape[1] == 1 else f"{name} {i}"
        lines[label] = rows[:, i]
        if exact is not None:
            lines[f"{label}, closed form"] = exact.reshape(rows.shape)[:, i]
    return Curve(time, lines)
