"""What a velocity costs."""

from .adjusted import Adjusted
from .flow import AbstractFlow
from .modified import ModifiedGradient
from .staged import Staged
from .variational import Variational


def gradients_per_velocity(flow: AbstractFlow) -> int:
    """Gradients in one velocity, a Hessian-vector product counted as two; one for a flow that a user made."""
    if isinstance(flow, Adjusted | Staged):
        return gradients_per_velocity(flow.base)
    if isinstance(flow, Variational):
        return gradients_per_velocity(flow.base) * (1 + 2 * flow.change.directions)
    return 3 if isinstance(flow, ModifiedGradient) else 1
