"""What numbers with errors can say of a statement."""

import dataclasses
import enum
from collections.abc import Iterable
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
class Condition:
    """Numbers that must all be positive, with the bounds of their numerical errors."""

    margins: Float[np.ndarray, "*shape"]
    errors: Float[np.ndarray, "*shape"]

    @property
    def word(self) -> Word:
        """Fails where a number is certainly not positive; too close to call where none is, but one may be; not reached
        where there is no number."""
        if not np.size(self.margins):
            return Word.NOT_REACHED
        if np.any((self.margins <= -self.errors) & np.isfinite(self.errors)):
            return Word.FAILS
        return Word.HOLDS if np.all(self.margins > self.errors) else Word.TOO_CLOSE  # NaN: too close

    def __bool__(self) -> bool:
        """**Raises:** `ValueError` if the error bounds do not allow an answer."""
        word = self.word
        if word == Word.NOT_REACHED:
            raise ValueError("there is no number to compare. Pass the comparison to `Finding` instead.")
        if word == Word.TOO_CLOSE:
            raise ValueError("the error bounds overlap: too close to call. Pass the comparison to `Finding` instead.")
        return word == Word.HOLDS


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
    """All conditions together: one that is certainly broken breaks the claim, one that is uncertain leaves it open,
    one of no numbers leaves it not reached."""
    words = [condition.word for condition in conditions]
    return next((word for word in (Word.FAILS, Word.TOO_CLOSE, Word.NOT_REACHED) if word in words), Word.HOLDS)
