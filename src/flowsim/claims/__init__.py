"""Statements about a run, each with a verdict that can fail.

`claim` makes a `Claim` of a function `Evidence -> Finding`; `flowsim.verify` judges claims on a problem. The claims of
the home paper are in `claims.yang2024`.
"""

from .claim import Claim, Verdict, claim
from .closed_form import agrees, all_of, conserved, equals, near
from .condition import Condition, Word, above, below, judge, positive
from .evidence import Evidence
from .finding import Curve, Finding, NotReachedError
from .measured import Measured
from .oracle import scalar_flow
from .premises import converged, in_order, resting_places
from .scaling import Exponent, Law, Point, common_slope, fit
from .tally import Tally, tally, wilson
from .theory import AbstractTheory, Theory, together
from .verdicts import Verdicts

__all__ = [
    "AbstractTheory",
    "Claim",
    "Condition",
    "Curve",
    "Evidence",
    "Exponent",
    "Finding",
    "Law",
    "Measured",
    "NotReachedError",
    "Point",
    "Tally",
    "Theory",
    "Verdict",
    "Verdicts",
    "Word",
    "above",
    "agrees",
    "all_of",
    "below",
    "claim",
    "common_slope",
    "conserved",
    "converged",
    "equals",
    "fit",
    "in_order",
    "judge",
    "near",
    "positive",
    "resting_places",
    "scalar_flow",
    "tally",
    "together",
    "wilson",
]
