"""A claim, and the verdict that a run gives it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..events import Event
from .condition import Word, judge
from .finding import Finding, NotReachedError


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement that a run can decide.

    **Fields:** `id`: its name, or the theorem's number; `source`: who says it, and where; `statement`: in a sentence;
    `rule`: when it counts as holding; `measure`: `(evidence) -> Finding`, or `(evidence, constants) -> Finding` for a
    claim with `constants`: the numbers that the rule leaves open; `probes`: name -> `function(parameters)` or probe,
    and `events`: what the claim needs to have measured and watched.
    """

    id: str
    source: str
    statement: str
    rule: str
    measure: Callable[..., Finding] = dataclasses.field(repr=False)
    constants: Any = None
    probes: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    events: Sequence[Event] = dataclasses.field(default=(), repr=False)

    def verdict(self, evidence: Any, constants: Any = None) -> "Verdict":
        """What a run says of the claim; `constants` in place of the claim's own."""
        constants = self.constants if constants is None else constants
        arguments = (evidence,) if constants is None else (evidence, constants)
        # A ratio whose denominator vanishes is not a number, and is judged uncertain.
        with np.errstate(divide="ignore", invalid="ignore"):
            try:
                finding = self.measure(*arguments)
            except NotReachedError as missing:
                finding = Finding({}, reason=str(missing))
        if not isinstance(finding, Finding):
            raise TypeError(f"claim {self.id!r} must return a flowsim.claims.Finding, got {type(finding).__name__}.")
        word = judge(finding.conditions) if finding.conditions else Word.NOT_REACHED
        if word == Word.NOT_REACHED and not finding.reason:
            finding = dataclasses.replace(finding, reason="the measurement gave nothing that could fail")
        return Verdict(self, word, finding)


def claim(
    *,
    id: str,
    rule: str,
    statement: str = "",
    source: str = "",
    constants: Any = None,
    probes: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
) -> Callable[[Callable[..., Finding]], Claim]:
    """Make a claim of a function `evidence -> Finding`.

    **Arguments:** as the fields of `Claim`. Without a `statement` the function's docstring is it. With `constants` the
    function is called as `function(evidence, constants)`.

    **Raises:** `ValueError` for a claim that states nothing.
    """

    def make(measure: Callable[..., Finding]) -> Claim:
        stated = statement or " ".join((measure.__doc__ or "").split())
        if not stated:
            raise ValueError(f"claim {id!r} states nothing: give a statement, or the function a docstring.")
        return Claim(id, source, stated, rule, measure, constants, dict(probes or {}), tuple(events))

    return make


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim with what one run says of it."""

    claim: Claim
    word: Word
    finding: Finding
