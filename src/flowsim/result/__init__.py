"""What a run gave: its numbers, its certificate, and how it goes on."""

from .assemble import assemble
from .result import Result

__all__ = ["Result", "assemble"]
