"""Which solver buys how much accuracy for how much work."""

from ._contestants import known
from ._record import Comparison, Run
from ._work_precision import work_precision

__all__ = ["Comparison", "Run", "known", "work_precision"]
