"""Exponents: how the measured quantities grow with a size, against what the paper predicts.

Each quantity is measured at several values of one size and several seeds. The exponent is the common slope of log y
against log x with an intercept for each seed, so that what a seed shifts alike at every size does not blur it.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtrit

from ..condition import Word
from . import convergence
from .constants import DEFAULT, Constants
from .evidence import Evidence


@dataclasses.dataclass(frozen=True)
class Point:
    """A size, a seed, and what was found there."""

    value: float
    seed: int
    evidence: Evidence


@dataclasses.dataclass(frozen=True)
class Law:
    """A power law that the paper states.

    **Fields:** `measure`: the quantity, None where it was not reached; `prediction`: what the paper says it is
    proportional to, as the run's own sizes and initial scales give it.
    """

    id: str
    source: str
    statement: str
    measure: Callable[[Evidence], float | None]
    prediction: Callable[[Evidence], float]


@dataclasses.dataclass(frozen=True)
class Exponent:
    """A fitted exponent.

    **Fields:** `exponent` with its 95 % `interval`; `predicted`; `constant`: median of measured over predicted;
    `values`, `seeds`, `measured`: the points of the fit; `reason`: why there is none.
    """

    law: Law
    over: str
    verdict: Word
    predicted: float | None = None
    exponent: float | None = None
    interval: tuple[float, float] | None = None
    constant: float | None = None
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    measured: tuple[float, ...] = ()
    reason: str = ""

    @property
    def id(self) -> str:
        """The law's own id for the width, in which the paper states its laws; otherwise with the size's name."""
        return self.law.id if self.over == "width" else f"{self.law.id} over {self.over}"


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
    ),
    Law(
        "Theorem E.28",
        "Theorem E.28",
        "W_KᵀW_Q moves in phase 1 by the order of σ0²√m/(σ1² m m1): m^(-3/2) at the scales of Condition 1.",
        _movement,
        _attention_scale,
    ),
    Law(
        "Theorem F.8 (slope)",
        "Theorem F.8",
        "1/loss grows with a slope of order σ1² m m1.",
        _slope,
        lambda evidence: evidence.readout_scale,
    ),
    Law(
        "Theorem 3.3.2 (size)",
        "Theorem 3.3 (2)",
        "C[0,1] at the same stage of training is of order σ0²√m/(σ1² m m1).",
        lambda evidence: abs(float(evidence.score_change[0, 1])),
        _attention_scale,
    ),
    Law(
        "Theorem 3.3.2 (random words)",
        "Theorem 3.3 (2)",
        "Scores of random words change 1/n times as much as C[0,1].",
        _random,
        lambda evidence: 1 / evidence.samples,
    ),
)


def fit(over: str, points: Sequence[Point], constants: Constants = DEFAULT) -> list[Exponent]:
    """The exponent of every law in the size `over`."""
    return [_fit(law, over, points, constants) for law in LAWS]


def _fit(law: Law, over: str, points: Sequence[Point], constants: Constants) -> Exponent:
    found = [(p, law.measure(p.evidence)) for p in points]
    kept = [(p, y) for p, y in found if y is not None and np.isfinite(y) and y > 0]
    values = [p.value for p, _ in kept]
    if len(set(values)) < 2 or len(kept) < 3:
        return Exponent(law, over, Word.NOT_REACHED, reason="fewer than two sizes, or three runs, reached it")
    seeds = [p.seed for p, _ in kept]
    predictions = np.array([law.prediction(p.evidence) for p, _ in kept])
    measured = np.array([y for _, y in kept])
    slope, half = common_slope(np.log(values), np.log(measured), np.array(seeds))
    predicted, _ = common_slope(np.log(values), np.log(predictions), np.array(seeds))
    return Exponent(
        law,
        over,
        _judge(slope - predicted, half, constants.exponent),
        predicted,
        slope,
        (slope - half, slope + half),
        float(np.median(measured / predictions)),
        tuple(values),
        tuple(seeds),
        tuple(map(float, measured)),
    )


def _judge(off: float, half: float, bound: float) -> Word:
    if abs(off) + half < bound:
        return Word.HOLDS
    return Word.FAILS if abs(off) - half > bound else Word.TOO_CLOSE


def common_slope(x: np.ndarray, y: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Least-squares slope with an intercept for each group, and the half width of its 95 % interval (Student's t)."""
    names, index = np.unique(group, return_inverse=True)
    count = np.bincount(index)
    x = x - (np.bincount(index, x) / count)[index]
    y = y - (np.bincount(index, y) / count)[index]
    spread = np.sum(x**2)
    if spread == 0:
        raise ValueError("a slope needs at least two different values in one group.")
    slope = float(np.sum(x * y) / spread)
    freedom = len(x) - len(names) - 1
    if freedom < 1:
        return slope, float("inf")
    error = np.sqrt(np.sum((y - slope * x) ** 2) / freedom / spread)
    return slope, float(stdtrit(freedom, 0.975) * error)
