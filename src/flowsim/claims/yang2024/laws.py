"""The power laws that the paper states."""

import numpy as np

from ..scaling import Law
from . import convergence
from .evidence import Evidence


def _movement(evidence: Evidence) -> float | None:
    return None if evidence.T1 is None else float(evidence.largest("key_query_drift", "phase1_end")[0])


def _slope(evidence: Evidence) -> float | None:
    data = evidence.dataset
    return float((data.gradient_norm.values[-1] / data.loss.values[-1]) ** 2) if evidence.complete else None


def _random(evidence: Evidence) -> float:
    return convergence.random_change(evidence) / abs(float(evidence.score_change[0, 1]))


def _attention_scale(evidence: Evidence) -> float:
    """W_KᵀW_Q moves at the rate σ0²√m ∂S while the MLP needs a time of order 1/(σ1² m m1)."""
    return evidence.value_scale / (np.sqrt(evidence.width) * evidence.readout_scale)


LAWS = (
    Law(
        "T1 law",
        "Theorem 3.1",
        "T1 is of order 1/(σ1² m m1).",
        lambda evidence: evidence.T1,
        lambda evidence: 1 / evidence.readout_scale,
        over="width",
    ),
    Law(
        "Theorem E.28",
        "Theorem E.28",
        "W_KᵀW_Q moves in phase 1 by the order of σ0²√m/(σ1² m m1): m^(-3/2) at the scales of Condition 1.",
        _movement,
        _attention_scale,
        over="width",
    ),
    Law(
        "Theorem F.8 (slope)",
        "Theorem F.8",
        "1/loss grows with a slope of order σ1² m m1.",
        _slope,
        lambda evidence: evidence.readout_scale,
        over="width",
    ),
    Law(
        "Theorem 3.3.2 (size)",
        "Theorem 3.3 (2)",
        "C[0,1] at the same stage of training is of order σ0²√m/(σ1² m m1).",
        lambda evidence: abs(float(evidence.score_change[0, 1])),
        _attention_scale,
        over="width",
    ),
    Law(
        "Theorem 3.3.2 (random words)",
        "Theorem 3.3 (2)",
        "Scores of random words change 1/n times as much as C[0,1].",
        _random,
        lambda evidence: 1 / evidence.samples,
        over="width",
    ),
)
