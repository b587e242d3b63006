"""An optimizer's steps from the start of the flow, and their distance to the flow."""

from .descend import descend
from .drift import Against, Drift, EventShift, against_flow, beside_flow
from .optimizer import Optimizer, equivariant, optimizer
from .track import Descent

__all__ = [
    "Against",
    "Descent",
    "Drift",
    "EventShift",
    "Optimizer",
    "against_flow",
    "beside_flow",
    "descend",
    "equivariant",
    "optimizer",
]
