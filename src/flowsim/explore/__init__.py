"""One interactive page over stored runs and sweeps: `flowsim explore`."""

from .write import ExploreError, Written, explore

__all__ = ["ExploreError", "Written", "explore"]
