"""What this machine offers to a run, what would go wrong, and the remedy: `flowsim doctor`."""

from .examine import examine
from .finding import Finding

__all__ = ["Finding", "examine"]
