"""What the measurement of a claim gave."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from .. import _checks
from .condition import Condition
from .measured import Measured, equal

_ENTRIES = 8  # of an array, that a finding lists
_AS = "compare the Measured numbers themselves, not their values, so that their error bounds decide"


class NotReachedError(Exception):
    """Something that a claim presupposes did not happen in this run; the message says what."""


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
    """What a claim's measurement gave. Without `conditions` the claim's premise was not reached, for this `reason`.

    **Fields:** `measured`: label -> number; `conditions`: what must hold; `reason`: why nothing was decided; `curve`:
    for the claim's figure; `errors`: label -> bound on the error of the number of that label, where there is one.
    """

    measured: Mapping[str, float]
    conditions: tuple[Condition, ...] = ()
    reason: str = ""
    curve: Curve | None = None
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for one in self.conditions:
            _checks.instance(one, Condition, "a condition must be a comparison of Measured numbers, such as a < b", _AS)

    @classmethod
    def compare(cls, a: Any, relation: str, b: Any, *, resolution: float = 0.01) -> "Finding":
        """`a < b`, `a > b` or `a == b`, decided with the error bounds of both.

        Two measured numbers are equal if their difference is within their error bounds and these are below
        `resolution` times the larger of the two; coarser bounds are too close to call.

        **Arguments:** `a`, `b`: `Measured`, or numbers that are exact; `relation`: `<`, `>` or `==`.

        **Raises:** `ValueError` for another relation.
        """
        a, b = Measured.of(a), Measured.of(b)
        if relation not in ("<", ">", "=="):
            raise ValueError(f"a relation is '<', '>' or '==', got {relation!r}.")
        condition = equal(a, b, resolution) if relation == "==" else a < b if relation == "<" else a > b
        shown = [m.named(m.label or side) for m, side in ((a, "left side"), (b, "right side")) if not m.exact]
        return cls.of(condition, *shown)

    @classmethod
    def of(cls, *parts: Any, reason: str = "", curve: Curve | None = None) -> "Finding":
        """A finding of conditions, such as `a < b`, and of the measured numbers to be shown with them.

        Of an array the first entries are shown.

        **Raises:** `TypeError` for anything else, such as a comparison of plain values.
        """
        for part in parts:
            if not isinstance(part, Condition | Measured):
                what = "a finding is of comparisons and of Measured numbers"
                raise TypeError(f"{what}, got {_checks.described(part)}: {_AS}.")
        measured, errors = {}, {}
        for part in (part for part in parts if isinstance(part, Measured)):
            values, bounds = np.ravel(part.value), np.ravel(part.error)
            for i in range(min(len(values), _ENTRIES)):
                label = f"{part.label}[{i}]" if np.ndim(part.value) else part.label
                measured[label], errors[label] = float(values[i]), float(bounds[i])
        conditions = tuple(part for part in parts if isinstance(part, Condition))
        return cls(measured, conditions, reason, curve, errors)

    def __and__(self, other: "Finding") -> "Finding":
        """Both: a finding that is not reached leaves the two together not reached."""
        conditions = () if self.reason or other.reason else self.conditions + other.conditions
        return Finding(
            {**self.measured, **other.measured},
            conditions,
            "; ".join(filter(None, (self.reason, other.reason))),
            self.curve or other.curve,
            {**self.errors, **other.errors},
        )
