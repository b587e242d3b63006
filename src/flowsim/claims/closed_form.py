"""Curves against closed forms, and quantities that are conserved."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .condition import Condition
from .evidence import Evidence
from .finding import Curve, Finding
from .measured import Measured

BANDS = 10.0
"""How many of the run's own error bands a curve may be from its closed form."""

_ROUNDING = 32 * float(np.finfo(np.float64).eps)  # of a number that is computed from others of a given size


def agrees(
    evidence: Evidence,
    name: str,
    closed_form: Callable[[np.ndarray], Any] | np.ndarray,
    *,
    bands: float = BANDS,
    resolution: float = 1e-6,
    scale: float | None = None,
    start: float = 0.0,
    end: float = np.inf,
) -> Finding:
    """The curve of `name` is within `bands` of its own error bands of a closed form, at every saved time.

    A run whose bands, times `bands`, exceed `resolution` of the scale cannot decide it: too close to call.

    **Arguments:** `closed_form`: `times -> values`, in the shape of the variable, or its values at the saved times;
    `scale`: the size of the numbers that the variable is computed from, whose rounding no run can do without; by
    default the largest value of each entry; `start`, `end`: judge the saved times between the two only.

    **Raises:** `NotReachedError` if no time is saved between them.
    """
    time, curve = evidence.curve(name, start, end)
    exact = np.asarray(closed_form(time) if callable(closed_form) else closed_form, np.float64)
    if exact.shape != np.shape(curve.value):
        raise ValueError(f"the closed form of {name} has shape {exact.shape}, the curve {np.shape(curve.value)}.")
    apart, size = np.abs(curve.value - exact), _scale(exact, scale)
    error = np.asarray(curve.error) + _ROUNDING * size
    measured = {
        f"{name}: largest distance / band": float(np.max(apart / error)),
        f"{name}: largest distance / scale": float(np.max(apart / size)),
        f"{name}: largest relative distance": _relative(apart, exact, bands * error),
    }
    condition = _within(apart, bands * error, resolution * size)
    return Finding(measured, (condition,), curve=_drawn(time, name, curve.value, exact))


def conserved(evidence: Evidence, name: str, *, scale: float | None = None, bands: float = BANDS) -> Finding:
    """A quantity stays where it starts: within `bands` of its error bands at every saved time.

    **Arguments:** `scale`: the size of the numbers that it is computed from; by default its own largest value.
    """
    time, curve = evidence.curve(name)
    size = _scale(curve.value, scale)
    apart, error = np.abs(curve.value - curve.value[:1]), curve.error + curve.error[:1] + _ROUNDING * size
    condition = _within(apart, bands * error, 1e-6 * size)
    measured = {f"{name}: largest drift": float(np.max(apart)), f"{name}: band": float(np.max(error))}
    return Finding(measured, (condition,), curve=_drawn(time, name, curve.value, None))


def equals(quantity: Measured, exact: float, *, bands: float = BANDS, resolution: float = 1e-6) -> Finding:
    """A measured number is within `bands` of its error bounds of an exact one, and these are finer than `resolution`
    of it."""
    label = quantity.label or "measured"
    wide = Measured(quantity.value, bands * quantity.error + _ROUNDING * abs(exact))
    found = Finding.compare(wide, "==", exact, resolution=resolution)
    measured = {label: float(quantity.value), f"{label}: exact": float(exact)}
    return Finding(measured, found.conditions, errors={label: float(quantity.error)})


def all_of(findings: Iterable[Finding]) -> Finding:
    """All findings together.

    **Raises:** `ValueError` if there are none.
    """
    found = list(findings)
    if not found:
        raise ValueError("all_of needs at least one finding.")
    return functools.reduce(Finding.__and__, found)


def near(quantity: Measured, value: float, within: float) -> Finding:
    """A measured number is within a fraction `within` of a predicted one."""
    apart = abs(quantity - value)
    label = quantity.label or "measured"
    off = (apart / abs(value)).named(f"{label}: distance / prediction")
    prediction: Mapping[str, float] = {f"{label}: prediction": float(value)}
    found = Finding.of(apart < within * abs(value), quantity.named(label), off)
    return found & Finding(prediction, found.conditions[:0])


def _scale(values: np.ndarray, given: float | None) -> np.ndarray:
    """The scale of every entry, with an axis of length 1 for the times; 1 for an entry that is always 0."""
    largest = np.max(np.abs(values), axis=0, keepdims=True)
    return np.where(largest > 0, largest, 1.0) if given is None else np.full(largest.shape, given)


def _within(apart: np.ndarray, allowed: np.ndarray, decisive: np.ndarray) -> Condition:
    """Fails where a distance is more than allowed; too close to call where more is allowed than decides anything."""
    far = ~(apart <= allowed)
    margins = np.where(far, allowed - apart, np.broadcast_to(decisive, apart.shape))
    return Condition(margins, np.where(far, 0.0, allowed))


def _relative(apart: np.ndarray, exact: np.ndarray, resolved: np.ndarray) -> float:
    """The largest distance relative to the closed form's own value at that time, where that exceeds the error."""
    there = np.abs(exact) > resolved
    return float(np.max(apart[there] / np.abs(exact[there]))) if np.any(there) else 0.0


def _drawn(time: np.ndarray, name: str, values: np.ndarray, exact: np.ndarray | None) -> Curve:
    rows, lines = values.reshape(len(time), -1), {}
    for i in range(min(rows.shape[1], 3)):
        label = name if rows.shape[1] == 1 else f"{name} {i}"
        lines[label] = rows[:, i]
        if exact is not None:
            lines[f"{label}, closed form"] = exact.reshape(rows.shape)[:, i]
    return Curve(time, lines)
