"""`loss`: the loss of one sample."""

from typing import Any, ClassVar

from ..kind import Kind, Traits, kind


class LossKind(Kind):
    """A loss that is the function of its name in `flowsim.losses`."""

    def build(self, context: Any) -> Any:
        from ... import losses

        return getattr(losses, self.kind)


@kind("loss", "logistic")
class LogisticLoss(LossKind):
    """log(1 + exp(-y F)) of labels y = ±1."""

    traits: ClassVar[Traits] = Traits(judges=("sign",))


@kind("loss", "squared")
class SquaredLoss(LossKind):
    """(F - y)²/2 of labels that are numbers or ±1."""

    traits: ClassVar[Traits] = Traits(judges=("sign", "number"))


@kind("loss", "exponential")
class ExponentialLoss(LossKind):
    """exp(-y F) of labels y = ±1."""

    traits: ClassVar[Traits] = Traits(judges=("sign",))


@kind("loss", "cross_entropy")
class CrossEntropyLoss(LossKind):
    """-log softmax(F)[y] of words y."""

    traits: ClassVar[Traits] = Traits(judges=("word",))
