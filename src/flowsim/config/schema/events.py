"""`events`: moments that are found and recorded while the flow runs (specification section 6)."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Identifier, Positive, Section, ShortKind


class _Event(Section):
    """**Fields:** `terminal`: stop there instead of passing; `direction`: which crossings count."""

    terminal: bool = False
    direction: Literal["up", "down", "both"] = "up"


class Phase1End(_Event):
    """Every training sample is classified correctly."""

    kind: Literal["phase1_end"] = "phase1_end"
    name: Identifier = "phase1_end"


class MarginReached(_Event):
    """The smallest margin reaches `margin`."""

    kind: Literal["margin_reached"] = "margin_reached"
    name: Identifier = "margin_reached"
    margin: float


class MlpAligned(_Event):
    """G(0) and G(1) reach `level`, and G(2) reaches -`level`."""

    kind: Literal["mlp_aligned"] = "mlp_aligned"
    name: Identifier = "mlp_aligned"
    level: float


class AttentionMoves(_Event):
    """An attention probability is `epsilon` away from where it started."""

    kind: Literal["attention_moves"] = "attention_moves"
    name: Identifier = "attention_moves"
    epsilon: Annotated[float, Field(gt=0, lt=1)]


class CommonWordTurns(_Event):
    """G of the common word falls faster than either target word's rises."""

    kind: Literal["common_word_turns"] = "common_word_turns"
    name: Identifier = "common_word_turns"


class LossBelow(_Event):
    """The training loss falls below `value`."""

    kind: Literal["loss_below"] = "loss_below"
    name: Identifier = "loss_below"
    value: Positive


class GradientBelow(_Event):
    """The norm of the gradient falls below `value`."""

    kind: Literal["gradient_below"] = "gradient_below"
    name: Identifier = "gradient_below"
    value: Positive


class PluginEvent(_Event):
    """An event whose function a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier
    name: Identifier


EventConfig = Annotated[
    Phase1End | MarginReached | MlpAligned | AttentionMoves | CommonWordTurns | LossBelow | GradientBelow | PluginEvent,
    Field(discriminator="kind"),
    ShortKind,
]
