"""Exponents: how measured quantities grow with a size, against what a theory predicts.

Each quantity is measured at several values of one size and several seeds. The exponent is the common slope of log y
against log x with an intercept for each seed, so that what a seed shifts alike at every size does not blur it.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ..events import Event
from .condition import Word
from .finding import NotReachedError


@dataclasses.dataclass(frozen=True)
class Point:
    """A size, a seed, and what was found there."""

    value: float
    seed: int
    evidence: Any


@dataclasses.dataclass(frozen=True)
class Law:
    """A power law that a theory states; `scaling` in an experiment measures its exponent.

    **Fields:** `id`, `source`, `statement`: as of a `Claim`; `measure`: `evidence ->` the quantity, a number or
    `Measured`, None where it was not reached; `prediction`: the exponent, or `evidence ->` what the theory says the
    quantity is proportional to; `over`: the key of the size in which it is stated, empty for any; `probes`, `events`:
    what must be measured and watched for it.
    """

    id: str
    source: str
    statement: str
    measure: Callable[[Any], Any]
    prediction: Callable[[Any], float] | float
    over: str = ""
    probes: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    events: Sequence[Event] = dataclasses.field(default=(), repr=False)

    def quantity(self, evidence: Any) -> float | None:
        """What is measured, None where the run did not reach it."""
        try:
            found = self.measure(evidence)
        except NotReachedError:
            return None
        return None if found is None else float(found)

    def predicted(self, point: Point) -> float:
        """A number that the quantity is predicted to be proportional to."""
        if callable(self.prediction):
            return float(self.prediction(point.evidence))
        return float(point.value**self.prediction)


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
        """The law's own id for the size in which it is stated; otherwise with the size's name."""
        return self.law.id if self.over == self.law.over else f"{self.law.id} over {self.over}"


WITHIN = 0.1
"""How far a fitted exponent may be from its prediction."""


def fit(laws: Sequence[Law], over: str, points: Sequence[Point], *, within: float = WITHIN) -> list[Exponent]:
    """The exponent of every law in the size `over`."""
    return [_fit(law, over, points, within) for law in laws]


def unmeasured(laws: Sequence[Law], known: Collection[str]) -> list[Exponent]:
    """Laws of an experiment without `scaling`, but those that one size decides as well: the ids in `known`."""
    reason = "an exponent takes runs of several sizes: list them under `scaling`"
    return [Exponent(law, law.over, Word.NOT_REACHED, reason=reason) for law in laws if law.id not in known]


def _fit(law: Law, over: str, points: Sequence[Point], within: float) -> Exponent:
    found = [(p, law.quantity(p.evidence)) for p in points]
    kept = [(p, y) for p, y in found if y is not None and np.isfinite(y) and y > 0]
    values = [p.value for p, _ in kept]
    if len({(p.seed, p.value) for p, _ in kept}) == len({p.seed for p, _ in kept}) or len(kept) < 3:
        reason = "fewer than two sizes of one seed, or three runs, reached it"
        return Exponent(law, over, Word.NOT_REACHED, reason=reason)
    seeds = [p.seed for p, _ in kept]
    try:
        predictions = np.array([law.predicted(p) for p, _ in kept])
    except NotReachedError as missing:
        return Exponent(law, over, Word.NOT_REACHED, reason=str(missing))
    if not np.all(np.isfinite(predictions) & (predictions > 0)):
        return Exponent(law, over, Word.NOT_REACHED, reason="the prediction is not a positive number in every run")
    measured = np.array([y for _, y in kept])
    slope, half = common_slope(np.log(values), np.log(measured), np.array(seeds))
    predicted, _ = common_slope(np.log(values), np.log(predictions), np.array(seeds))
    return Exponent(
        law,
        over,
        _judge(slope - predicted, half, within),
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
