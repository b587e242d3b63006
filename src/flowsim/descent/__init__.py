"""An optimizer's steps from the start of the flow, and their distance to the flow."""

from .against import Against, against_flow, beside_flow
from .descend import descend
from .drift import Drift, EventShift
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
