"""`flow`: the differential equation, how long it runs, and the exact reduction it is solved in."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ..base import Identifier, Listed, NotNegative, Positive, Section, Short, about, as_tuple, bounded
from ..kind import Kind, Traits, kind, section_fields
from ..names import meant, names_parameters
from ..remark import Remark

ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=200)]
Exact = Literal["auto", "none", "readout", "rotation", "vocabulary"]
NoReduction = Literal["auto", "none"]


def _all(value: Any) -> Any:
    """`all` is short for every parameter, and one name for a list of one."""
    if value is None or value == "all":
        return None
    return as_tuple(value, str)


class Stage(Section):
    """A part of a schedule."""

    train: Annotated[tuple[ParameterName, ...] | None, BeforeValidator(_all), Short({"type": "string"})] = about(
        "Names of the parameters that move, `all` for all.", None, example=["W_V"]
    )
    until: Identifier | None = about("The event that ends the stage.", None, example="phase1_end")


@section_fields("flow")
class FlowKind(Kind):
    """How long a flow runs, its exact reduction, and what changes its velocity, applied in the order of the fields."""

    t1: Positive = about("The end; the flow starts at t = 0.", example=300.0, unit="time")
    reduction: NoReduction = about(
        "The exact smaller system that is solved, by name; `auto` chooses, `none` solves the model as it is.", "auto"
    )
    weight_decay: NotNegative = about("λ in θ' = … - λθ.", 0.0, unit="1/time")
    time_scales: Annotated[dict[ParameterName, NotNegative], BeforeValidator(bounded)] = about(
        "Parameter -> factor on its velocity, 0 for rest.", default_factory=dict, example={"W_K": 0.1}, unit="1"
    )
    clip: Positive | None = about("Largest norm of the velocity.", None, example=1.0, unit="weight/time")
    normalised: bool = about("Unit speed.", False)
    stages: Annotated[tuple[Stage, ...], Listed, Field(max_length=100)] = about(
        "What is trained until which event, one stage after the other.",
        (),
        example=[{"train": ["W_V"], "until": "phase1_end"}, {}],
    )

    @property
    def adjusted(self) -> bool:
        """Is the velocity changed in any of these ways?"""
        return bool(self.weight_decay or self.time_scales or self.clip or self.normalised or self.stages)

    def own(self) -> dict[str, Any]:
        """The fields that are the kind's own."""
        return self.model_dump(exclude={"kind", *FlowKind.model_fields})

    def build(self, context: Any) -> Any:
        from ... import flows

        return getattr(flows, self.kind)(**self.own())

    def step_time(self, learning_rate: float, momentum: float | None) -> float:
        """Time that an optimizer's step takes on the flow's clock."""
        return learning_rate


def adjusted(flow: Any, made: Any) -> Any:
    """A flow with what changes its velocity."""
    from ... import flows

    if flow.weight_decay:
        made = flows.weight_decay(made, strength=flow.weight_decay)
    if flow.time_scales:
        made = flows.time_scales(made, rates=flow.time_scales)
    if flow.clip is not None:
        made = flows.clipped(made, limit=flow.clip)
    if flow.normalised:
        made = flows.normalised(made)
    if flow.stages:
        made = flows.staged([stage.model_dump() for stage in flow.stages], made)
    return made


def flow_remarks(flow: Any, experiment: Any) -> Iterator[Remark]:
    """What must hold between any flow and the rest."""
    if flow.adjusted and flow.reduction not in ("auto", "none"):
        what = "must be auto or none where the velocity is changed parameter by parameter"
        yield Remark(("flow", "reduction"), what)
    yield from _stages(flow, experiment)
    yield from _names(flow, experiment)


def _stages(flow: Any, experiment: Any) -> Iterator[Remark]:
    if not flow.stages:
        return
    names = [event.name for event in experiment.events]
    for i, stage in enumerate(flow.stages):
        last = i == len(flow.stages) - 1
        if last and stage.until is not None:
            yield Remark(("flow", "stages", i, "until"), "must be left out in the last stage, which ends with the run")
        elif not last and stage.until is None:
            yield Remark(("flow", "stages", i), "needs `until`, the event that ends it")
        elif not last and stage.until not in names:
            listed = ", ".join(names) or "none"
            yield Remark(("flow", "stages", i, "until"), f"must be one of the run's events ({listed})")


def _names(flow: Any, experiment: Any) -> Iterator[Remark]:
    given = [(("flow", "time_scales"), name) for name in flow.time_scales]
    for i, stage in enumerate(flow.stages):
        given += [(("flow", "stages", i, "train"), name) for name in stage.train or ()]
    if not given or experiment.model is None or (known := experiment.model.parameter_names()) is None:
        return
    for path, name in given:
        if not names_parameters(name, known):
            yield Remark(path, f"must name trained parameters of the model, and {name} is none", meant(name, known))


@kind("flow", "gradient")
class GradientFlow(FlowKind):
    """dθ/dt = -∇loss from t = 0 to `t1`; `reduction`: see docs: mathematics, "Reductions that lose nothing"."""

    traits: ClassVar[Traits] = Traits(plain=True, symmetric=True)

    reduction: Literal["auto", "none", "readout", "rotation", "vocabulary", "gram"] = about(
        "The exact smaller system that is solved, by name (docs: mathematics).", "auto"
    )
    kinks: Literal["none", "follow"] = about(
        "`follow` the kinks of ReLU and the like, up to some hundred of them (docs: kinks); `none`: as if the loss "
        "were smooth, which gives no error bound where a kink is met.",
        "none",
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.kinks == "follow" and self.adjusted:
            yield Remark(
                ("kinks",), "must be none where weight_decay, time_scales, clip, normalised or stages are used"
            )


@kind("flow", "modified_gradient")
class ModifiedGradientFlow(FlowKind):
    """dθ/dt = -∇(loss + step/4 ‖∇loss‖²), which descent of learning rate `step` follows to second order."""

    traits: ClassVar[Traits] = Traits(symmetric=True)

    step: Positive = about("The learning rate whose descent it follows to second order.", example=0.01, unit="time")
    reduction: Exact = about("As of `gradient`.", "auto")


class _WithVelocity(FlowKind):
    """A flow with inertia, on whose clock a step of descent with momentum takes another time."""

    def step_time(self, learning_rate: float, momentum: float | None) -> float:
        from ...flows import heavy_ball_step

        return learning_rate if momentum is None else heavy_ball_step(learning_rate, momentum)


@kind("flow", "momentum")
class MomentumFlow(_WithVelocity):
    """Heavy ball from rest: θ'' + friction θ' = -∇loss."""

    friction: NotNegative = about("In θ'' + friction θ' = -∇loss.", example=1.0, unit="1/time")
    reduction: Exact = about("As of `gradient`.", "auto")


@kind("flow", "heavy_ball")
class HeavyBallFlow(_WithVelocity):
    """Heavy ball as gradient descent of this learning rate and momentum nears it; a step takes √(2η/(1 + β))."""

    learning_rate: Positive = about("η of the descent that it nears.", example=0.01, unit="time")
    momentum: Annotated[float, Field(ge=0, lt=1)] = about("β of the descent that it nears.", example=0.9, unit="1")
    reduction: Exact = about("As of `gradient`.", "auto")


@kind("flow", "nesterov")
class NesterovFlow(FlowKind):
    """θ'' + (3/t) θ' = -∇loss."""

    reduction: Exact = about("As of `gradient`.", "auto")


@kind("flow", "adam")
class AdamFlow(FlowKind):
    """Adam's limit; `first`, `second`: times over which the gradient and its square are averaged."""

    first: Positive = about("Time over which the gradient is averaged.", example=0.1, unit="time")
    second: Positive = about("Time over which its square is averaged.", example=1.0, unit="time")
    epsilon: Positive = about("Added to the root of the averaged square.", 1e-8, unit="gradient")


@kind("flow", "rmsprop")
class RmspropFlow(FlowKind):
    """RMSprop's limit; `second`: time over which the squared gradient is averaged."""

    second: Positive = about("Time over which the squared gradient is averaged.", example=1.0, unit="time")
    epsilon: Positive = about("Added to the root of the averaged square.", 1e-8, unit="gradient")


@kind("flow", "sign")
class SignFlow(FlowKind):
    """θ' = -sign(∇loss), smoothed where a gradient is below `epsilon`."""

    epsilon: Positive = about("The size of a gradient below which the sign is smoothed.", 1e-3, unit="gradient")
