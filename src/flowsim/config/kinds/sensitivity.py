"""`sensitivities`: families of problems along which a run is differentiated."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from ..base import Listed, Whole
from ..kind import Kind, kind
from ..names import meant, names_parameters
from ..remark import Remark
from .flow import ParameterName


class SensitivityKind(Kind):
    """A family of flowsim's: its `labels` name the directions, the entries of ε."""

    def labels(self) -> list[str]:
        raise NotImplementedError

    def check(self, experiment: Any) -> Iterator[Remark]:
        if experiment.seeds:
            yield Remark((), "must be left out for several seeds", "differentiate one seed at a time")


class _PaperScale(SensitivityKind):
    """The arrays of the start that σ0 or σ1 scales, multiplied by 1 + ε; coordinates of them where those were drawn."""

    def build(self, context: Any) -> Any:
        from ...models import traits
        from ...sensitivities.families import scaled

        return scaled(context.problem, getattr(traits(context.problem.remainder), self.kind))

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from SensitivityKind.check(self, experiment)
        if experiment.model is None or not experiment.model.traits.paper:
            yield Remark((), f"must not be {self.kind}: only cooccurrence_transformer has it",
                         "name the arrays: {kind: scale, of: W}")  # fmt: skip
        elif getattr(experiment.model, "width", 0) == math.inf:
            yield Remark((), f"must not be {self.kind} in the limit of infinite width", "take a width")


@kind("sensitivity", "scale")
class Scale(SensitivityKind):
    """By the logarithm of the initial scale of the trained array, or block of arrays, that `of` names."""

    of: ParameterName = Field(description="Trained array, or block of arrays, whose start is scaled.", examples=["W_V"])

    def labels(self) -> list[str]:
        return [f"log scale of {self.of}"]

    def build(self, context: Any) -> Any:
        from ...sensitivities.families import scaled

        return scaled(context.problem, (self.of,))

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from SensitivityKind.check(self, experiment)
        known = None if experiment.model is None else experiment.model.parameter_names()
        if known is not None and not names_parameters(self.of, known):
            yield Remark(("of",), f"must name trained parameters of the model, and {self.of} is none",
                         meant(self.of, known))  # fmt: skip


@kind("sensitivity", "sigma0")
class Sigma0(_PaperScale):
    """By log σ0, the initial scale of W_V, W_K and W_Q."""

    def labels(self) -> list[str]:
        return ["log sigma0"]


@kind("sensitivity", "sigma1")
class Sigma1(_PaperScale):
    """By log σ1, the initial scale of W."""

    def labels(self) -> list[str]:
        return ["log sigma1"]


@kind("sensitivity", "sample_weight")
class SampleWeight(SensitivityKind):
    """By the weights of training samples, which are 1; `samples` count from 0."""

    samples: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Listed] = Field(
        min_length=1, max_length=256, description="Numbers of training samples, from 0.", examples=[[0, 3]]
    )

    def labels(self) -> list[str]:
        return [f"weight of sample {i}" for i in self.samples]

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from SensitivityKind.check(self, experiment)
        count = getattr(experiment.task, "samples", None)
        for i, sample in enumerate(self.samples):
            if isinstance(count, int) and sample >= count:
                yield Remark(("samples", i), f"must be below task.samples = {count}: samples count from 0")

    def build(self, context: Any) -> Any:
        from ...sensitivities.families import weighted

        return weighted(context.problem, self.samples)


@kind("sensitivity", "random")
class Random(SensitivityKind):
    """By `count` random directions of unit length in the start."""

    count: Whole = Field(default=4, ge=1, le=256, description="How many directions.")

    def labels(self) -> list[str]:
        return [f"random {i}" for i in range(self.count)]

    def build(self, context: Any) -> Any:
        from ...sensitivities.families import displaced

        return displaced(context.problem, self.count, context.key("sensitivity"))
