"""Vector fields: each with `init`, `velocity`, `parameters` and the `energy` that it dissipates."""

from ._adaptive import Adaptive, Sign, adam, memory, rmsprop, sign
from ._adjusted import Adjusted, clipped, frozen, normalised, projected, time_scales, weight_decay
from ._cost import gradients_per_velocity
from ._flow import AbstractFlow
from ._gradient import Gradient, gradient
from ._modified import ModifiedGradient, modified_gradient
from ._momentum import Momentum, heavy_ball, heavy_ball_friction, heavy_ball_step, momentum, nesterov
from ._staged import Stage, Staged, staged

__all__ = [
    "AbstractFlow",
    "Adaptive",
    "Adjusted",
    "Gradient",
    "ModifiedGradient",
    "Momentum",
    "Sign",
    "Stage",
    "Staged",
    "adam",
    "clipped",
    "frozen",
    "gradient",
    "gradients_per_velocity",
    "heavy_ball",
    "heavy_ball_friction",
    "heavy_ball_step",
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
