"""Transformers of any depth."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...base import Count, about
from ...kind import Kind, Traits, kind
from ...remark import Remark
from .base import Activation


@kind("model", "transformer")
class TransformerModel(Kind):
    """A transformer of any depth; its fields are the arguments of `flowsim.models.Transformer`."""

    traits: ClassVar[Traits] = Traits(
        reads=("words", "sequences"), answers=("sign", "word", "number"), attention=True
    )  # fmt: skip

    layers: Annotated[Count, Field(le=100)] = about("How many layers.", 1)
    heads: Annotated[Count, Field(le=100)] = about("Heads of a layer.", 1)
    width: Count = about("Of all heads of a layer together; each has width/heads.", example=32)
    neurons: Count | None = about(
        "Of each layer's MLP; attention alone if not given, which needs `residual`.", None, example=64
    )
    activation: Activation = about("Of the MLPs.", "linear")
    residual: bool = about("Add each part's output to the stream, which then has `width` features.", False)
    layer_norm: bool = about("Normalise the input of each part.", False)
    causal: bool = about("A query sees no later position.", False)
    embedding: Literal["one_hot", "learned"] = about(
        "`one_hot` words, or `learned` vectors of `width`; with residual always learned.", "one_hot"
    )
    position: Literal["none", "learned", "one_hot"] = about(
        "How positions are told: not at all, by an added vector, or by a one-hot input.", "none"
    )
    attention: Literal["softmax", "linear"] = about("`softmax`, or `linear` scores.", "softmax")
    merged: bool = about("One matrix W_KQ for W_Kᵀ W_Q.", False)
    scaled: bool = about("Divide the scores by √(head width).", True)
    readout: Literal["sum", "mean", "last", "each"] = about(
        "`sum` or `mean` over positions, the `last` position, or `each` for itself.", "sum"
    )
    train_readout: bool = about("Train `a`; the paper does not.", False)

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from self._sizes()
        yield from self._positions(experiment.task)

    def _sizes(self) -> Iterator[Remark]:
        if self.width % self.heads:
            remedy = f"take {(self.width // self.heads + 1) * self.heads}"
            yield Remark(("model", "width"), f"must be divisible by model.heads = {self.heads}", remedy)
        if self.neurons is None and not self.residual:
            yield Remark(("model", "neurons"), "is missing; without residual the heads end in the neurons")

    def _positions(self, task: Any) -> Iterator[Remark]:
        each = getattr(task, "predict", None) == "each"
        if each != (self.readout == "each"):
            wanted = "each, as the task has a label at each position" if each else (
                "sum, mean or last, as samples have one label"
            )  # fmt: skip
            yield Remark(("model", "readout"), f"must be {wanted}")
        if each and not self.causal:
            what = "must be true where each position is predicted: the others hold the answer"
            yield Remark(("model", "causal"), what)

    def parameter_names(self) -> list[str]:
        names = ["embedding"] if self.residual or self.embedding == "learned" else []
        names += ["positions"] if self.position == "learned" else []
        score = ["W_KQ"] if self.merged else ["W_K", "W_Q"]
        through = self.neurons is not None
        for i in range(self.layers):
            block = f"blocks.{i}"
            names += [f"{block}.heads.{h}.{name}" for h in range(self.heads) for name in ("W_O", "W_V", *score)]
            names += [f"{block}.W"] if through and self.residual else []
            names += [f"{block}.W_out"] if through and (self.residual or i < self.layers - 1) else []
            count = (2 if through and self.residual else 1) if self.layer_norm else 0
            names += [f"{block}.norms.{n}.{name}" for n in range(count) for name in ("gain", "shift")]
        names += ["final_norm.gain", "final_norm.shift"] if self.layer_norm and self.residual else []
        return [*names, "a"] if self.train_readout else names

    def build(self, context: Any) -> Any:
        from ....models import Transformer

        task = context.task
        words = task.vocabulary or None
        return Transformer(
            **self.model_dump(exclude={"kind"}),
            vocabulary=words,
            features=task.tokens.shape[-1] if words is None else None,
            outputs=task.vocabulary if task.target == "word" else None,
            length=task.length if self.position != "none" else None,
            key=context.key("model"),
        )
