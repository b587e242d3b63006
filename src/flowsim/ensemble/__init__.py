"""Many seeds of one experiment: threads over members on every core, or one batch of them on an accelerator."""

from ..result import QUANTILES, EventTimes
from ._loop import cores, each
from ._record import EnsembleResult, Member
from ._run import Shelf, run, shared_reduction, simulate

__all__ = [
    "QUANTILES",
    "EnsembleResult",
    "EventTimes",
    "Member",
    "Shelf",
    "cores",
    "each",
    "run",
    "shared_reduction",
    "simulate",
]
