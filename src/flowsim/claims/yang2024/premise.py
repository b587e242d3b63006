"""What a claim presupposes, and what is said where it is missing."""

import functools
from collections.abc import Callable

from ..finding import Finding
from .constants import Constants
from .evidence import Evidence

Measure = Callable[[Evidence, Constants], Finding]


def after_phase1(measure: Measure) -> Measure:
    """The claim speaks of a run whose phase 1 ended."""

    @functools.wraps(measure)
    def checked(evidence: Evidence, constants: Constants) -> Finding:
        if evidence.T1 is None:
            return Finding({}, reason=f"phase 1 did not end by t = {evidence.end:.4g}")
        return measure(evidence, constants)

    return checked


def in_phase2(measure: Measure) -> Measure:
    """The claim speaks of the saved times in (T1, T2)."""

    @functools.wraps(measure)
    def checked(evidence: Evidence, constants: Constants) -> Finding:
        times, _, _ = evidence.series("loss", evidence.T1 or 0.0, evidence.T2)
        if len(times) < 3:
            reason = f"fewer than three times are saved between T1 = {evidence.T1:.4g} and T2 = {evidence.T2:.4g}"
            return Finding({}, reason=reason)
        return measure(evidence, constants)

    return after_phase1(checked)


def at_the_end(measure: Measure) -> Measure:
    """The claim speaks of the end of a run that got there."""

    @functools.wraps(measure)
    def checked(evidence: Evidence, constants: Constants) -> Finding:
        if not evidence.complete:
            return Finding({}, reason="the run stopped before its end")
        return measure(evidence, constants)

    return after_phase1(checked)
