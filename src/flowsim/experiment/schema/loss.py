"""`loss`: the loss of one sample."""

from typing import Annotated, Literal

from ._base import Section, ShortKind


class Loss(Section):
    """`logistic` log(1 + exp(-yF)), `squared` (F - y)²/2, `exponential` exp(-yF)."""

    kind: Literal["logistic", "squared", "exponential"]


LossConfig = Annotated[Loss, ShortKind]
