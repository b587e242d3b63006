"""What a run gave: its numbers, its certificate, and how it goes on."""

from .progress import following
from .result import Result, assemble
from .start import started
from .tighten import tightened

__all__ = ["Result", "assemble", "following", "started", "tightened"]
