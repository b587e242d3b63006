"""Tasks whose labels are numbers."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from ...base import Count, Listed, NotNegative, Positive, about
from ...kind import Traits, kind
from ...remark import Remark
from .base import DrawnLaw, TaskKind


@kind("task", "in_context_regression")
class InContextRegressionTask(TaskKind):
    """Prompts of `examples` pairs (x, ⟨w, x⟩), each with a w of its own, and a query."""

    traits: ClassVar[Traits] = Traits(inputs="sequences", labels="number", fresh=True)

    samples: Count = about("How many prompts.", example=64)
    examples: Count = about("Pairs (x, ⟨w, x⟩) of a prompt, before the query.", example=8)
    features: Count = about("Entries of x.", example=4)
    noise: NotNegative = about("Standard deviation of what is added to the labels.", 0.0, unit="label")
    covariance: Annotated[tuple[Positive, ...], Listed] | None = about(
        "Variance of each entry of x; 1 if not given.", None, example=[0.4, 0.3, 0.2, 0.1], unit="input²"
    )
    weight_variance: Positive | None = about(
        "Of every entry of w; 1/features if not given.", None, example=1.0, unit="(label/input)²"
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.covariance is not None and len(self.covariance) != self.features:
            yield Remark(("covariance",), f"must hold task.features = {self.features} variances")


@kind("task", "regression")
class RegressionTask(DrawnLaw):
    """y = f(A x) + noise."""

    outputs: Count = about("Entries of y.", 1)
    spectrum: Annotated[tuple[Positive, ...], Listed] | None = about(
        "Singular values of A; Gaussian entries if not given.", None, example=[4.0, 2.0, 1.0], unit="label/input"
    )
    teacher: Literal["linear", "tanh"] = about("f in y = f(A x).", "linear")
    noise: NotNegative = about("Standard deviation of what is added to the labels.", 0.0, unit="label")
    whitened: bool = about("The inputs' second moments are the identity exactly.", False)

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.whitened and self.samples < self.features:
            yield Remark(("task", "samples"), f"must be at least task.features = {self.features} for whitened inputs")
        limit = min(self.features, self.outputs)
        if self.spectrum is not None and len(self.spectrum) > limit:
            yield Remark(("task", "spectrum"), f"must have at most {limit} values, the smaller of features and outputs")
