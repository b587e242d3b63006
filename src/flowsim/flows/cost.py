"""What a velocity costs."""

from .adjusted import Adjusted
from .flow import AbstractFlow
from .modified import ModifiedGradient
from .staged import Staged


def gradients_per_velocity(flow: AbstractFlow) -> int:
    """Gradients in one velocity, a Hessian-vector product counted as two; one for a flow that a user made."""
    if isinstance(flow, Adjusted | Staged):
        return gradients_per_velocity(flow.base)
    return 3 if isinstance(flow, ModifiedGradient) else 1
