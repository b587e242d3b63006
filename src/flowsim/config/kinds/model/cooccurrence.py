"""The paper's model, of any width."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer

from ...._values import is_number
from ...base import Count, about, wrong
from ...kind import Kind, Traits, kind
from ...remark import Remark

LARGEST_WEIGHTS = 2 * 10**9  # numbers: 16 GB in float64
LARGE_WEIGHTS = 2 * 10**8  # above it drawing coordinates instead pays


def _width(value: Any) -> Any:
    """Widths are whole numbers, or `.inf` (also `inf`) for the limit of infinite width."""
    if value in ("inf", math.inf):
        return math.inf
    if not is_number(value) or not value >= 1 or value != int(value):  # NaN is not >= 1
        raise wrong("must be a whole number >= 1, or .inf")
    if value > 10**15:
        raise wrong("must be at most 1e15, or .inf")
    return int(value)


def _spelled(value: int | float) -> int | str:
    """JSON has no infinity; `inf` reads back."""
    return "inf" if value == math.inf else int(value)


Width = Annotated[
    int | Annotated[float, Field(allow_inf_nan=True)],
    BeforeValidator(_width),
    PlainSerializer(_spelled, when_used="json"),
]


@kind("model", "cooccurrence_transformer")
class CooccurrenceTransformer(Kind):
    """The paper's model: softmax attention, then a layer of neurons (docs: mathematics, "The model")."""

    traits: ClassVar[Traits] = Traits(reads=("words",), answers=("sign",), attention=True, paper=True)

    width: Width = about("m; `.inf` for the limit of infinite width.", example=128, unit="1")
    neurons: Count = about("m1, neurons of the MLP.", example=256)

    def parameter_names(self) -> list[str]:
        return ["W", "W_V", "W_K", "W_Q"]

    def check(self, experiment: Any) -> Iterator[Remark]:
        task, flow = experiment.task, experiment.flow
        if not hasattr(task, "vocabulary"):
            return  # a task of a user's, whose size is known when it is built
        plain = flow.traits.plain and not flow.adjusted
        if self.width == math.inf:
            if not plain:
                yield Remark(("model", "width"), "must be finite for any flow but the plain gradient flow")
            yield from self._limit(experiment)
        elif self.numbers(task) > LARGEST_WEIGHTS:
            what = f"weights of more than {LARGEST_WEIGHTS:.0e} numbers, which are never formed but drawn in law"
            yield from _needs_matrices(experiment, what)
            if 5 * task.vocabulary**2 > LARGEST_WEIGHTS:
                limit = math.isqrt(LARGEST_WEIGHTS // 5)
                yield Remark(("task", "vocabulary"), f"must be at most {limit} for {what}", "lower it, or model.width")

    def build(self, context: Any) -> Any:
        from .... import models

        vocabulary = context.task.vocabulary
        if self.width == math.inf:
            return models.InfiniteWidthTransformer(vocabulary=vocabulary)
        size = {"vocabulary": vocabulary, "width": int(self.width), "neurons": self.neurons}
        if drawn_in_law(context.experiment):
            return models.FactoredTransformer.of_size(**size)
        return models.CooccurrenceTransformer(**size, key=context.key("model"))

    def numbers(self, task: Any) -> int | float:
        """How many weights there are."""
        return self.width * (self.neurons + 3 * task.vocabulary)

    def _limit(self, experiment: Any) -> Iterator[Remark]:
        """What the limit of infinite width has, and what it has not."""
        init, flow, task = experiment.init, experiment.flow, experiment.task
        if not init.traits.limit:
            yield Remark(
                ("model", "width"), "asks for the limit of infinite width, where the scales must fall with the width",
                "lower it, or take the Gaussian init that scales so: theory"
            )  # fmt: skip
        if init.balanced or init.scale != 1:
            yield Remark(("init",), "must be plain in the limit of infinite width", "remove balanced and scale")
        if flow.reduction not in ("auto", "none"):
            what = "must be auto in the limit of infinite width, which has no smaller state"
            yield Remark(("flow", "reduction"), what)
        if experiment.certificate.method == "gram":
            what = "must be solver in the limit of infinite width: it has no Gram system"
            yield Remark(("certificate", "method"), what)
        yield from _equivariant(experiment, "the limit of infinite width")
        if getattr(task, "embedding", None) is not None:
            yield Remark(("task", "embedding"), "must be left out in the limit of infinite width")


def drawn_in_law(experiment: Any) -> bool:
    """Are the weights' coordinates drawn rather than the weights? Where these are large and nothing needs them."""
    model, task, flow = experiment.model, experiment.task, experiment.flow
    if not isinstance(model, CooccurrenceTransformer) or not flow.traits.plain or model.width == math.inf:
        return False
    if not hasattr(task, "vocabulary") or model.numbers(task) <= LARGE_WEIGHTS:
        return False
    return not list(_needs_matrices(experiment, ""))


def _needs_matrices(experiment: Any, what: str) -> Iterator[Remark]:
    """Everything in an experiment that only the matrices themselves can give."""
    init, flow = experiment.init, experiment.flow
    if not init.traits.gaussian:
        yield Remark(
            ("model", "width"), f"asks for {what}",
            "lower it, or take a Gaussian init: kaiming_normal, gaussian or theory"
        )  # fmt: skip
    if init.balanced:
        yield Remark(("init", "balanced"), f"must be false for {what}")
    if flow.reduction not in ("auto", "rotation", "vocabulary", "gram"):
        yield Remark(("flow", "reduction"), f"must be auto, rotation, vocabulary or gram for {what}")
    yield from _equivariant(experiment, what)


def _equivariant(experiment: Any, what: str) -> Iterator[Remark]:
    """Steps of gradient descent stay in the span of the start; those that scale weight by weight do not."""
    for i, run in enumerate(experiment.descent):
        if run.optimizer != "sgd":
            yield Remark(("descent", i, "optimizer"), f"must be sgd for {what}: the others work weight by weight")
