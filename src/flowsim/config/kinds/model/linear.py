"""Models of vectors."""

from typing import Any, ClassVar

from ...base import Positive, about
from ...kind import Kind, Traits, kind
from .base import Activation, Hidden


@kind("model", "deep_linear")
class DeepLinearModel(Kind):
    """A product of matrices; `hidden`: the sizes between the input and the output."""

    traits: ClassVar[Traits] = Traits(reads=("vectors",), answers=("number",), attention=False)

    hidden: Hidden = about("Sizes between the input and the output.", example=[16])

    def parameter_names(self) -> list[str]:
        return [f"layers.{i}" for i in range(len(self.hidden) + 1)]

    def build(self, context: Any) -> Any:
        from ....models import DeepLinear

        return DeepLinear(sizes=_sizes(self.hidden, context.task), key=context.key("model"))


@kind("model", "diagonal_linear")
class DiagonalLinearModel(Kind):
    """β = u∘u - v∘v for every output, from u = v = `scale`."""

    traits: ClassVar[Traits] = Traits(reads=("vectors",), answers=("number",), attention=False)

    scale: Positive = about("Every weight at t = 0, unless an init draws others.", 1.0, unit="weight")

    def parameter_names(self) -> list[str]:
        return ["u", "v"]

    def build(self, context: Any) -> Any:
        from ....models import DiagonalLinear

        features, outputs = _sizes((), context.task)
        return DiagonalLinear(features=features, outputs=outputs, scale=self.scale)


@kind("model", "mlp")
class MlpModel(Kind):
    """A multilayer perceptron; `hidden`: the sizes between the input and the output."""

    traits: ClassVar[Traits] = Traits(reads=("vectors",), answers=("number",), attention=False)

    hidden: Hidden = about("Sizes between the input and the output.", example=[16])
    activation: Activation = about(
        "Of every hidden layer; relu has an error bound only with `flow.kinks: follow`.", "gelu"
    )
    bias: bool = about("Every layer has a bias.", True)

    def parameter_names(self) -> list[str]:
        layers = range(len(self.hidden) + 1)
        return [*(f"layers.{i}" for i in layers), *(f"biases.{i}" for i in layers if self.bias)]

    def build(self, context: Any) -> Any:
        from ....models import MLP

        sizes = _sizes(self.hidden, context.task)
        return MLP(sizes=sizes, activation=self.activation, bias=self.bias, key=context.key("model"))


def _sizes(hidden: tuple[int, ...], task: Any) -> tuple[int, ...]:
    return (task.tokens.shape[-1], *hidden, task.labels.shape[-1])
