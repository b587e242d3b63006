"""Tasks whose labels are numbers."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from ...base import Count, Listed, NotNegative, Positive
from ...kind import Traits, kind
from ...remark import Remark
from .base import TaskKind


@kind("task", "in_context_regression")
class InContextRegressionTask(TaskKind):
    """Prompts of `examples` pairs (x, ⟨w, x⟩), each with a w of its own, and a query."""

    traits: ClassVar[Traits] = Traits(inputs="sequences", labels="number", fresh=True)

    samples: Count
    examples: Count
    features: Count
    noise: NotNegative = 0.0


@kind("task", "regression")
class RegressionTask(TaskKind):
    """y = f(A x) + noise.

    **Fields:** `spectrum`: singular values of A, Gaussian entries if None; `teacher`: f; `whitened`: the inputs'
    second moments are the identity exactly.
    """

    traits: ClassVar[Traits] = Traits(inputs="vectors", labels="number", fresh=True)
    fixes_law: ClassVar[bool] = True

    samples: Count
    features: Count
    outputs: Count = 1
    spectrum: Annotated[tuple[Positive, ...], Listed] | None = None
    teacher: Literal["linear", "tanh"] = "linear"
    noise: NotNegative = 0.0
    whitened: bool = False

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.whitened and self.samples < self.features:
            yield Remark(("task", "samples"), f"must be at least task.features = {self.features} for whitened inputs")
        limit = min(self.features, self.outputs)
        if self.spectrum is not None and len(self.spectrum) > limit:
            yield Remark(("task", "spectrum"), f"must have at most {limit} values, the smaller of features and outputs")
