"""`loss`: the loss of one sample."""

from typing import Annotated, Literal

from ._base import Section, ShortKind


class Loss(Section):
    """`logistic` log(1 + exp(-yF)), `squared` (F - y)²/2, `exponential` exp(-yF), `cross_entropy` of words."""

    kind: Literal["logistic", "squared", "exponential", "cross_entropy"]


LossConfig = Annotated[Loss, ShortKind]
