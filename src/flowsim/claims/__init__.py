"""The paper's claims as measurable quantities, each with a verdict that can fail (specification section 7).

prepared with `measured(...)` and `watched()`  →  `observe(...)`  →  `verdicts(evidence)`  →  `tally(...)` over seeds
"""

from .claim import DEFAULT, Claim, Condition, Constants, Curve, Finding, Verdict, Word, above, below, judge, positive
from .evidence import Evidence, measured, observe, watched
from .tally import Tally, tally, wilson
from .yang2024 import alignment, balance, convergence, identities, phase1, phase2

CLAIMS: tuple[Claim, ...] = (
    *phase1.CLAIMS,
    *alignment.CLAIMS,
    *phase2.CLAIMS,
    *balance.CLAIMS,
    *convergence.CLAIMS,
    *identities.CLAIMS,
)
"""Every claim, in the paper's order of sections."""


def verdicts(evidence: Evidence, constants: Constants = DEFAULT) -> list[Verdict]:
    """What one run says of every claim."""
    return [claim.verdict(evidence, constants) for claim in CLAIMS]


__all__ = [
    "CLAIMS",
    "Claim",
    "Condition",
    "Constants",
    "Curve",
    "Evidence",
    "Finding",
    "Tally",
    "Verdict",
    "Word",
    "above",
    "below",
    "judge",
    "measured",
    "observe",
    "positive",
    "tally",
    "verdicts",
    "watched",
    "wilson",
]
