"""A claim of the paper, and the verdict that numbers give it."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float


class Word(enum.StrEnum):
    """What can be said of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_REACHED = "not reached"
    TOO_CLOSE = "too close to call"


@dataclasses.dataclass(frozen=True)
class Constants:
    """The numbers that "small", "bounded" and "about" stand for in the rules; every one is reported with the verdicts.

    **Fields:** `small`: what counts as small against its scale, or as a small loss; `vanishing`: a loss below it
    vanishes; `bounded`: what counts as bounded by a constant; `balanced`: bound on the gap of Lemma 4.4; `exponent`:
    how far a fitted exponent may be from its prediction; `identity`: an exact identity must hold to this many
    tolerances.
    """

    small: float = 0.1
    vanishing: float = 0.1
    bounded: float = 10.0
    balanced: float = 1.0
    exponent: float = 0.1
    identity: float = 100.0


DEFAULT = Constants()


@dataclasses.dataclass(frozen=True)
class Condition:
    """Numbers that must all be positive, with the bounds of their numerical errors."""

    margins: Float[np.ndarray, "*shape"]
    errors: Float[np.ndarray, "*shape"]


def positive(values: Any, errors: Any = 0.0) -> Condition:
    """`values` > 0."""
    margins = np.asarray(values, np.float64)
    return Condition(margins, np.broadcast_to(np.asarray(errors, np.float64), margins.shape))


def above(values: Any, bound: float, errors: Any = 0.0) -> Condition:
    """`values` > `bound`."""
    return positive(np.asarray(values) - bound, errors)


def below(values: Any, bound: float, errors: Any = 0.0) -> Condition:
    """`values` < `bound`."""
    return positive(bound - np.asarray(values), errors)


def judge(conditions: Iterable[Condition]) -> Word:
    """All conditions together: one that is certainly broken breaks the claim, one that is uncertain leaves it open."""
    word = Word.HOLDS
    for condition in conditions:
        if np.any(condition.margins <= -condition.errors):
            return Word.FAILS
        if not np.all(condition.margins > condition.errors):  # also where a number is none
            word = Word.TOO_CLOSE
    return word


@dataclasses.dataclass(frozen=True)
class Curve:
    """What a claim's small figure shows.

    **Fields:** `time`; `lines`: label -> values, all (times,); `bounds`: label -> a number of the rule.
    """

    time: Float[np.ndarray, "times"]
    lines: Mapping[str, Float[np.ndarray, "times"]]
    bounds: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a claim's measurement gave. Without `conditions` the claim's premise was not reached, for this `reason`."""

    measured: Mapping[str, float]
    conditions: tuple[Condition, ...] = ()
    reason: str = ""
    curve: Curve | None = None


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of the paper that a run can decide.

    **Fields:** `id`: the theorem's number; `source`: where the paper says it; `statement`: in a sentence; `rule`: when
    it counts as holding; `measure`: `(evidence, constants) -> Finding`.
    """

    id: str
    source: str
    statement: str
    rule: str
    measure: Callable[[Any, Constants], Finding]

    def verdict(self, evidence: Any, constants: Constants = DEFAULT) -> "Verdict":
        # A ratio whose denominator vanishes is no number, and `judge` takes it for uncertain.
        with np.errstate(divide="ignore", invalid="ignore"):
            finding = self.measure(evidence, constants)
        word = judge(finding.conditions) if finding.conditions else Word.NOT_REACHED
        return Verdict(self, word, finding)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim with what one run says of it."""

    claim: Claim
    word: Word
    finding: Finding
