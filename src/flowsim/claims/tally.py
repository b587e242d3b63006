"""One claim over many seeds: a fraction with its interval."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from .claim import Claim, Verdict
from .condition import Word

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclasses.dataclass(frozen=True)
class Tally:
    """What several runs say of a claim.

    **Fields:** `counts`: how often each word was said; `verdict`: the word for all of them together; `fraction`: of
    the runs that decide the claim, how many it holds in, with its 95 % Wilson `interval`; None if none decides it.
    `measured`: label -> (median, lowest, highest) over the runs that measured it; `reasons`: why runs were not reached;
    `errors`: label -> the largest error bound of what was measured.
    """

    claim: Claim
    counts: Mapping[Word, int]
    verdict: Word
    fraction: float | None
    interval: tuple[float, float] | None
    measured: Mapping[str, tuple[float, float, float]]
    reasons: tuple[str, ...]
    errors: Mapping[str, float]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a probability from `successes` in `trials` ≥ 1.

    **Reference:** Wilson (1927), J. Am. Stat. Assoc. 22, 209.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"need 0 <= successes <= trials and trials >= 1, got {successes} of {trials}.")
    p, spread = successes / trials, _Z**2 / trials
    middle = (p + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (p * (1 - p) + spread / 4)) / (1 + spread)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def tally(verdicts: Sequence[Verdict]) -> Tally:
    """One claim's verdicts, one for each seed.

    All runs together hold or fail where most of the runs that decide the claim do; an even split, or none that
    decides, is too close to call, or not reached if no run reached the claim's premise.
    """
    claim = verdicts[0].claim
    if any(verdict.claim.id != claim.id for verdict in verdicts):
        raise ValueError("a tally is of one claim; got several.")
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in Word}
    decided = counts[Word.HOLDS] + counts[Word.FAILS]
    return Tally(
        claim=claim,
        counts=counts,
        verdict=_together(counts),
        fraction=counts[Word.HOLDS] / decided if decided else None,
        interval=wilson(counts[Word.HOLDS], decided) if decided else None,
        measured=_spread(verdicts),
        reasons=tuple(dict.fromkeys(v.finding.reason for v in verdicts if v.finding.reason)),
        errors={k: max(v.finding.errors.get(k, 0.0) for v in verdicts) for one in verdicts for k in one.finding.errors},
    )


def _together(counts: Mapping[Word, int]) -> Word:
    if counts[Word.HOLDS] > counts[Word.FAILS]:
        return Word.HOLDS
    if counts[Word.FAILS] > counts[Word.HOLDS]:
        return Word.FAILS
    return Word.TOO_CLOSE if counts[Word.HOLDS] or counts[Word.TOO_CLOSE] else Word.NOT_REACHED


def _spread(verdicts: Sequence[Verdict]) -> dict[str, tuple[float, float, float]]:
    found: dict[str, list[float]] = {}
    for verdict in verdicts:
        for label, value in verdict.finding.measured.items():
            found.setdefault(label, []).append(value)
    return {k: (float(np.median(v)), float(np.min(v)), float(np.max(v))) for k, v in found.items()}
