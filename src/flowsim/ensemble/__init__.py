"""Many seeds of one experiment: threads over members on every core, or one batch of them on an accelerator."""

from ..records import QUANTILES, EventTimes
from .loop import cores, each
from .members import Member
from .record import EnsembleResult
from .run import MemberStore, run, shared_reduction, simulate

__all__ = [
    "QUANTILES",
    "EnsembleResult",
    "EventTimes",
    "Member",
    "MemberStore",
    "cores",
    "each",
    "run",
    "shared_reduction",
    "simulate",
]
