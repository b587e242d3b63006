"""`flow`: the differential equation, how long it runs, and the exact reduction it is solved in."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import Arguments, Identifier, Listed, NotNegative, Positive, Section, ShortKind, wrong

ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=200)]


def _all(value: Any) -> Any:
    """`all` is short for every parameter, and one name for a list of one."""
    if value is None or value == "all":
        return None
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Stage(Section):
    """A part of a schedule.

    **Fields:** `train`: names of the parameters that move, `all` for all; `until`: the event that ends the stage.
    """

    train: Annotated[tuple[ParameterName, ...] | None, BeforeValidator(_all)] = None
    until: Identifier | None = None


def _rates(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > 100:
        raise wrong("must have at most 100 entries")
    return value


class _Flow(Section):
    """**Fields:** `weight_decay`: λ in θ' = … - λθ; `time_scales`: parameter -> factor on its velocity, 0 for rest;
    `clip`: largest norm of the velocity; `normalised`: unit speed; `stages`: what is trained until which event.
    They apply in this order.
    """

    t1: Positive
    weight_decay: NotNegative = 0.0
    time_scales: Annotated[dict[ParameterName, NotNegative], BeforeValidator(_rates)] = Field(default_factory=dict)
    clip: Positive | None = None
    normalised: bool = False
    stages: Annotated[tuple[Stage, ...], Listed, Field(max_length=100)] = ()

    @property
    def adjusted(self) -> bool:
        """Is the velocity changed in any of these ways?"""
        return bool(self.weight_decay or self.time_scales or self.clip or self.normalised or self.stages)


class GradientFlow(_Flow):
    """dθ/dt = -∇loss from t = 0 to `t1`; `reduction`: see specification section 9."""

    kind: Literal["gradient"] = "gradient"
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary", "gram"] = "auto"


class ModifiedGradientFlow(_Flow):
    """dθ/dt = -∇(loss + step/4 ‖∇loss‖²), which descent of learning rate `step` follows to second order."""

    kind: Literal["modified_gradient"] = "modified_gradient"
    step: Positive
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary"] = "auto"


class MomentumFlow(_Flow):
    """Heavy ball from rest: θ'' + friction θ' = -∇loss."""

    kind: Literal["momentum"] = "momentum"
    friction: NotNegative
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary"] = "auto"


class HeavyBallFlow(_Flow):
    """Heavy ball as gradient descent of this learning rate and momentum nears it; a step takes √(2η/(1 + β))."""

    kind: Literal["heavy_ball"] = "heavy_ball"
    learning_rate: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary"] = "auto"


class NesterovFlow(_Flow):
    """θ'' + (3/t) θ' = -∇loss."""

    kind: Literal["nesterov"] = "nesterov"
    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary"] = "auto"


class AdamFlow(_Flow):
    """Adam's limit; `first`, `second`: times over which the gradient and its square are averaged."""

    kind: Literal["adam"] = "adam"
    first: Positive
    second: Positive
    epsilon: Positive = 1e-8
    reduction: Literal["auto", "none"] = "auto"


class RmspropFlow(_Flow):
    """RMSprop's limit; `second`: time over which the squared gradient is averaged."""

    kind: Literal["rmsprop"] = "rmsprop"
    second: Positive
    epsilon: Positive = 1e-8
    reduction: Literal["auto", "none"] = "auto"


class SignFlow(_Flow):
    """θ' = -sign(∇loss), smoothed where a gradient is below `epsilon`."""

    kind: Literal["sign"] = "sign"
    epsilon: Positive = 1e-3
    reduction: Literal["auto", "none"] = "auto"


class PluginFlow(_Flow):
    """A flow that a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier
    arguments: Arguments = Field(default_factory=dict)
    reduction: Literal["auto", "none"] = "auto"


def _gradient(value: Any) -> Any:
    """`flow: {t1: 300}` is a gradient flow."""
    return {"kind": "gradient", **value} if isinstance(value, dict) and "kind" not in value else value


FlowConfig = Annotated[
    GradientFlow
    | ModifiedGradientFlow
    | MomentumFlow
    | HeavyBallFlow
    | NesterovFlow
    | AdamFlow
    | RmspropFlow
    | SignFlow
    | PluginFlow,
    Field(discriminator="kind"),
    BeforeValidator(_gradient),
    ShortKind,
]
