"""What a run gave: its numbers, its certificate, and how it goes on."""

from .parts import defect, events, final, variables
from .progress import following
from .result import Result, assemble
from .start import check_clock, started
from .tighten import tightened

__all__ = [
    "Result",
    "assemble",
    "check_clock",
    "defect",
    "events",
    "final",
    "following",
    "started",
    "tightened",
    "variables",
]
