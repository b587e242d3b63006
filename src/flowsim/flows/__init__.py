"""Vector fields: each with `init`, `velocity`, `parameters` and the `energy` that it dissipates."""

from .adaptive import Adaptive, Sign, adam, memory, rmsprop, sign
from .adjusted import Adjusted, clipped, frozen, normalised, projected, time_scales, weight_decay
from .flow import AbstractFlow, AbstractSwitched, Traits
from .gradient import Gradient, gradient
from .joined import Joined, joined
from .modified import ModifiedGradient, modified_gradient
from .momentum import Momentum, heavy_ball, heavy_ball_friction, heavy_ball_step, momentum, nesterov
from .sliding import KINKS, Sliding
from .staged import Stage, Staged, staged
from .variational import Change, Variational, WithTangents

__all__ = [
    "KINKS",
    "AbstractFlow",
    "AbstractSwitched",
    "Adaptive",
    "Adjusted",
    "Change",
    "Gradient",
    "Joined",
    "ModifiedGradient",
    "Momentum",
    "Sign",
    "Sliding",
    "Stage",
    "Staged",
    "Traits",
    "Variational",
    "WithTangents",
    "adam",
    "clipped",
    "frozen",
    "gradient",
    "heavy_ball",
    "heavy_ball_friction",
    "heavy_ball_step",
    "joined",
    "memory",
    "modified_gradient",
    "momentum",
    "nesterov",
    "normalised",
    "projected",
    "rmsprop",
    "sign",
    "staged",
    "time_scales",
    "weight_decay",
]
