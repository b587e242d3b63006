"""Theorem 3.1: phase 1, in which the linear MLP aligns with the words and the rest stands still."""

import numpy as np

from ..claim import Claim
from ..condition import above, below, positive
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence
from .premise import after_phase1

_SIGNS = np.array([1.0, 1.0, -1.0])


@after_phase1
def _alignment(evidence: Evidence, constants: Constants) -> Finding:
    values, errors = evidence.at("mlp_alignment", evidence.T1 or 0.0)
    time, lines, _ = evidence.series("mlp_alignment")
    curve = Curve(time, {f"G({i})": lines[:, i] for i in range(3)}, {"0": 0.0})
    measured = {f"G({i}) at T1": float(values[i]) for i in range(3)}
    return Finding(measured, (positive(_SIGNS * values, errors),), curve=curve)


def _end(evidence: Evidence, constants: Constants) -> Finding:
    time, margin, _ = evidence.series("min_margin")
    curve = Curve(time, {"smallest margin": margin}, {"0": 0.0})
    if evidence.T1 is None:
        largest = {"largest min margin": float(np.max(margin))}
        return Finding(largest, reason=f"some sample is classified wrongly until t = {evidence.end:.4g}", curve=curve)
    error = evidence.events["phase1_end"].uncertainty or 0.0
    return Finding({"T1": evidence.T1, "T1 uncertainty": error}, (positive(evidence.T1, error),), curve=curve)


def _scales(evidence: Evidence) -> dict[str, tuple[str, float]]:
    """Drift probe -> what it is of, and the typical initial diagonal: ‖w‖² = σ1² m, or σ0² m."""
    neuron, word = evidence.readout_scale / evidence.neurons, evidence.value_scale
    names = {"neuron_drift": ("⟨w_i,w_j⟩", neuron), "value_gram_drift": ("W_VᵀW_V", word),
             "key_query_drift": ("W_KᵀW_Q", word), "key_gram_drift": ("W_KᵀW_K", word),
             "query_gram_drift": ("W_QᵀW_Q", word)}  # fmt: skip
    # The neurons are not there when a width is drawn in law.
    return {name: scale for name, scale in names.items() if name in evidence.dataset}


@after_phase1
def _region(evidence: Evidence, constants: Constants) -> Finding:
    time = evidence.dataset.time.values
    beyond = np.zeros(time.shape, bool)
    for name, (_, scale) in _scales(evidence).items():
        _, values, errors = evidence.series(name)
        beyond |= values - errors > constants.small * scale
    left = float(time[np.argmax(beyond)]) if np.any(beyond) else evidence.end
    assert evidence.T1 is not None
    return Finding({"left at t": left, "left at t / T1": left / evidence.T1}, (above(left, evidence.T1),))


@after_phase1
def _drifts(evidence: Evidence, constants: Constants) -> Finding:
    measured, conditions, lines, time = {}, [], {}, evidence.dataset.time.values
    for name, (label, scale) in _scales(evidence).items():
        value, error = (x / scale for x in evidence.largest(name, "phase1_end"))
        measured[f"{label} drift"] = float(value)
        conditions.append(below(value, constants.small, error))
        lines[label] = evidence.series(name)[1] / scale
    return Finding(measured, tuple(conditions), curve=Curve(time, lines, {"small": constants.small}))


@after_phase1
def _loss(evidence: Evidence, constants: Constants) -> Finding:
    crossing = evidence.events["phase1_end"].crossings[0]
    time, values, _ = evidence.series("loss")
    _, error = evidence.at("loss", crossing.time)
    curve = Curve(time, {"loss": values}, {"vanishing": constants.vanishing})
    loss = crossing.values["loss"]
    return Finding({"loss at T1": loss}, (above(loss, constants.vanishing, error),), curve=curve)


@after_phase1
def _speed(evidence: Evidence, constants: Constants) -> Finding:
    assert evidence.T1 is not None
    measured = {"T1·σ1²·m·m1": evidence.T1 * evidence.readout_scale, "T1·(σ0²+σ1²)·m·m1": evidence.T1 * evidence.scale}
    return Finding(measured, reason="one width gives the constant; a range of widths (`scaling`) decides")


CLAIMS = (
    Claim(
        "Theorem 3.1.1",
        "Theorem 3.1 (1)",
        "At T1 the linear MLP is aligned with the words.",
        "G(0) > 0, G(1) > 0, G(2) < 0 at T1",
        _alignment,
    ),
    Claim(
        "Theorem 3.1.2",
        "Theorem 3.1 (2)",
        "Every training sample is classified correctly at a finite time T1.",
        "min_i y_i F_i reaches 0",
        _end,
    ),
    Claim(
        "Theorem 3.1.3",
        "Theorem 3.1 (3)",
        "Inner products of neurons and of words stay near their initial values.",
        "drift over [0, T1] below `small` of the typical initial diagonal, ‖w‖² or σ0² m",
        _drifts,
    ),
    Claim("Theorem 3.1.4", "Theorem 3.1 (4)", "The loss at T1 is of order 1.", "loss at T1 above `vanishing`", _loss),
    Claim(
        "Definition E.2",
        "Definition E.2",
        "The bounds of phase 1 on inner products last until T1.",
        "the first saved time at which a drift exceeds `small` of the initial diagonal comes after T1",
        _region,
    ),
    Claim(
        "T1 law",
        "Theorem 3.1",
        "T1 is of order 1/(σ1² m m1).",
        "exponent of T1 in the width is -1, by `scaling`",
        _speed,
    ),
)
