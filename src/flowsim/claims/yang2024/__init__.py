"""The claims of Yang, Kailkhura, Wang, Liang (NeurIPS 2024), each with a verdict that can fail (`docs/claims.md`).

prepared with `measured(...)` and `watched()`  →  `observe(...)`  →  `verdicts(evidence)`  →  `claims.tally(...)`
"""

import dataclasses

from ..claim import Claim, Verdict
from . import alignment, balance, convergence, identities, phase1, phase2
from .constants import DEFAULT, Constants
from .evidence import Evidence, measured, observe, watched
from .laws import LAWS
from .theory import Yang2024

_CLAIMS: tuple[Claim, ...] = (
    *phase1.CLAIMS,
    *alignment.CLAIMS,
    *phase2.CLAIMS,
    *balance.CLAIMS,
    *convergence.CLAIMS,
    *identities.CLAIMS,
)
CLAIMS = tuple(dataclasses.replace(claim, constants=DEFAULT) for claim in _CLAIMS)
"""Every claim, in the paper's order of sections."""


THEORY = Yang2024(CLAIMS, LAWS)
"""Claims and power laws together."""


def verdicts(evidence: Evidence, constants: Constants = DEFAULT) -> list[Verdict]:
    """What one run says of every claim."""
    return [claim.verdict(evidence, constants) for claim in CLAIMS]


__all__ = [
    "CLAIMS",
    "DEFAULT",
    "LAWS",
    "THEORY",
    "Claim",
    "Constants",
    "Evidence",
    "Yang2024",
    "measured",
    "observe",
    "verdicts",
    "watched",
]
