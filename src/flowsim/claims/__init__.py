"""Statements about a run, each with a verdict that can fail.

`claim` makes a `Claim` of a function `Evidence -> Finding`; `flowsim.verify` judges claims on a problem. The claims of
the home paper are in `claims.yang2024`.
"""

from .claim import Claim, Verdict, claim
from .condition import Condition, Word, above, below, judge, positive
from .evidence import Evidence
from .finding import Curve, Finding, NotReachedError
from .laws import agrees, all_of, conserved, equals, near
from .measured import Measured
from .oracle import scalar_flow
from .tally import Tally, tally, wilson
from .verdicts import Verdicts

__all__ = [
    "Claim",
    "Condition",
    "Curve",
    "Evidence",
    "Finding",
    "Measured",
    "NotReachedError",
    "Tally",
    "Verdict",
    "Verdicts",
    "Word",
    "above",
    "agrees",
    "all_of",
    "below",
    "claim",
    "conserved",
    "equals",
    "judge",
    "near",
    "positive",
    "scalar_flow",
    "tally",
    "wilson",
]
