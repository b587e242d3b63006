"""What a velocity costs."""

from ._adjusted import Adjusted
from ._flow import AbstractFlow
from ._modified import ModifiedGradient
from ._staged import Staged


def gradients_per_velocity(flow: AbstractFlow) -> int:
    """Gradients in one velocity, a Hessian-vector product counted as two; one for a flow that a user made."""
    if isinstance(flow, Adjusted | Staged):
        return gradients_per_velocity(flow.base)
    return 3 if isinstance(flow, ModifiedGradient) else 1
