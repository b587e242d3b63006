"""`loss`: the loss of one sample."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Identifier, Section, ShortKind


class Loss(Section):
    """`logistic` log(1 + exp(-yF)), `squared` (F - y)²/2, `exponential` exp(-yF), `cross_entropy` of words."""

    kind: Literal["logistic", "squared", "exponential", "cross_entropy"]


class PluginLoss(Section):
    """A loss that a plugin registers under `use`."""

    kind: Literal["plugin"]
    use: Identifier


LossConfig = Annotated[Loss | PluginLoss, Field(discriminator="kind"), ShortKind]
