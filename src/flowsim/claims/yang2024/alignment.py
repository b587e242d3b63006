"""Lemmas 4.1 to 4.3: what drives the alignment of the linear MLP in phase 1."""

import numpy as np

from ..claim import Claim
from ..condition import below, positive
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence
from .premise import after_phase1


def _targets(evidence: Evidence, constants: Constants) -> Finding:
    rates, errors = evidence.at("alignment_rate", 0.0)
    scale = evidence.scale / evidence.neurons
    mean = rates[:2] / evidence.neurons
    measured = {f"mean rate of word {i} / (σ0²+σ1²)m": float(np.divide(mean[i], scale)) for i in range(2)}
    conditions = [positive(mean, errors[:2] / evidence.neurons)]
    if evidence.neuron_rates is not None:
        each = evidence.neuron_rates[:, :2]
        measured["smallest rate of a neuron / (σ0²+σ1²)m"] = float(np.divide(np.min(each), scale))
        measured["fraction of neurons with a positive rate"] = float(np.mean(np.all(each > 0, axis=1)))
        conditions.append(positive(each))
    return Finding(measured, tuple(conditions), curve=_rates(evidence))


def _common(evidence: Evidence, constants: Constants) -> Finding:
    rates, errors = evidence.at("alignment_rate", 0.0)
    slower = np.min(rates[:2])
    ratio = np.abs(rates[2]) / np.abs(slower)
    error = (errors[2] + ratio * np.max(errors[:2])) / np.abs(slower)
    measured = {"|rate of word 2| / rate of words 0, 1": float(ratio)}
    return Finding(measured, (positive(slower, np.max(errors[:2])), below(ratio, constants.small, error)))


@after_phase1
def _turn(evidence: Evidence, constants: Constants) -> Finding:
    turn = evidence.events["common_word_turns"].time
    assert evidence.T1 is not None
    if turn is None or turn >= evidence.T1:
        return Finding({}, reason="the common word does not turn before T1")
    time, rates, errors = evidence.series("alignment_rate", turn, evidence.T1)
    if len(time) == 0:
        return Finding({"T0.5": turn}, reason="no time is saved between T0.5 and T1: save more points")
    largest, total = np.max(rates[:, :2], axis=1), np.sum(rates[:, :2], axis=1)
    error = np.sum(errors, axis=1)
    measured = {
        "T0.5": turn,
        "least of -dG(2)/max": float(np.min(-rates[:, 2] / largest)),
        "largest of -dG(2)/sum": float(np.max(-rates[:, 2] / total)),
    }
    conditions = (positive(-rates[:, 2] - largest, error), positive(total + rates[:, 2], error))
    return Finding(measured, conditions, curve=_rates(evidence))


def _rates(evidence: Evidence) -> Curve:
    time, rates, _ = evidence.series("alignment_rate")
    return Curve(time, {"dG(0)/dt": rates[:, 0], "dG(1)/dt": rates[:, 1], "-dG(2)/dt": -rates[:, 2]}, {"0": 0.0})


CLAIMS = (
    Claim(
        "Lemma 4.1",
        "Lemma 4.1",
        "At t = 0 every neuron turns towards both target words, at a rate of (σ0²+σ1²) m.",
        "a_j d(w_jᵀW_Vμ)/dt > 0 for all j and both target words; the constant is reported",
        _targets,
    ),
    Claim(
        "Lemma 4.2",
        "Lemma 4.2",
        "At t = 0 the common word's part moves much more slowly.",
        "|dG(2)/dt| below `small` of min(dG(0)/dt, dG(1)/dt)",
        _common,
    ),
    Claim(
        "Lemma 4.3",
        "Lemma 4.3",
        "From T0.5 to T1 the common word falls faster than either target word rises, and "
        "more slowly than both together.",
        "-dG(2)/dt between max and sum of dG(0)/dt, dG(1)/dt on [T0.5, T1]",
        _turn,
    ),
)
