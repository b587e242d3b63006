"""`probes`: what is measured beside the standard set."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ..base import Listed, Whole, about
from ..kind import Kind, Traits, kind
from ..names import meant, names_parameters
from ..remark import Remark
from .flow import ParameterName


class ProbeKind(Kind):
    """A probe of flowsim's."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.traits.matrices and experiment.flow.reduction == "gram":
            yield Remark((), f"must not be {self.kind} with the reduction gram, which forms no matrices",
                         "set flow.reduction: auto")  # fmt: skip

    def named(self, experiment: Any, *keys: str, block: bool = True) -> Iterator[Remark]:
        """The fields that name trained arrays. **Arguments:** `block`: may a block of arrays be named?"""
        model = experiment.model
        known = None if model is None else model.parameter_names()
        for key in keys:
            name = getattr(self, key)
            if name is None or known is None:
                continue
            if not block and name not in known:
                yield Remark((key,), f"must name one matrix of the model, and {name} is none", meant(name, known))
            elif not names_parameters(name, known):
                what = f"must name trained parameters of the model, and {name} is none"
                yield Remark((key,), what, meant(name, known))

    def attends(self, experiment: Any) -> Iterator[Remark]:
        """Probes of attention need a model whose attention is known."""
        model = experiment.model
        if model is not None and not model.traits.attention:
            yield Remark((), f"must not be {self.kind}: attention of the model {model.kind} is not known",
                         "take a model with heads, or a plugin's probe")  # fmt: skip


class _OfArray(ProbeKind):
    """A probe of what `of` names. **Fields:** `block`: may it be a block of arrays?"""

    traits: ClassVar[Traits] = Traits(matrices=True)
    block: ClassVar[bool] = True

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from ProbeKind.check(self, experiment)
        yield from self.named(experiment, "of", block=self.block)


@kind("probe", "sharpness")
class Sharpness(_OfArray):
    """The `count` largest eigenvalues of the Hessian of the loss, or of its block in the parameters `of`, by `steps`
    Lanczos steps at every saved time."""

    of: ParameterName | None = about(
        "A parameter or block of them whose Hessian it is; all if not given.", None, example="W_V"
    )
    count: Annotated[Whole, Field(ge=1, le=24)] = about("How many of the largest eigenvalues.", 1)
    steps: Annotated[Whole, Field(ge=24, le=1000)] = about("Lanczos steps at every saved time.", 24)

    def build(self, context: Any) -> Any:
        from ...probes import sharpness

        return sharpness(self.count, of=self.of, steps=self.steps)


@kind("probe", "hessian_spectrum")
class HessianSpectrum(ProbeKind):
    """The `count` lowest and largest eigenvalues of the Hessian of the loss, with bounds on their errors."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    count: Annotated[Whole, Field(ge=1, le=256)] = about("How many of the lowest and of the largest eigenvalues.", 8)
    steps: Annotated[Whole, Field(ge=2, le=1000)] = about("Lanczos steps at every saved time.", 48)
    density: bool = about("The spectral density as well.", False)
    starts: Annotated[Whole, Field(ge=1, le=1000)] = about("Random vectors of the density's quadrature.", 4)
    nodes: Annotated[Whole, Field(ge=2, le=1000)] = about("Nodes of the quadrature from each of them.", 32)

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from ProbeKind.check(self, experiment)
        if self.steps < 2 * self.count:
            yield Remark(("steps",), f"must be at least 2 count = {2 * self.count}")

    def build(self, context: Any) -> Any:
        from ...probes import hessian_spectrum

        return hessian_spectrum(**self.model_dump(exclude={"kind"}))


@kind("probe", "ntk")
class Ntk(ProbeKind):
    """The neural tangent kernel of the first `samples` samples: its `count` largest eigenvalues, its alignment with the
    labels, its distance from the start and its speed."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    count: Annotated[Whole, Field(ge=1, le=10**4)] = about("How many of the largest eigenvalues.", 8)
    samples: Annotated[Whole, Field(ge=1, le=10**4)] | None = about("The first so many samples; `null` for all.", 32)

    def build(self, context: Any) -> Any:
        from ...probes import ntk

        return ntk(count=self.count, samples=self.samples)


@kind("probe", "attention_map")
class AttentionMap(ProbeKind):
    """What every head attends to: of training sample number `sample`, or their mean."""

    sample: Annotated[Whole, Field(ge=0)] | None = about(
        "Number of the training sample; the mean of all if not given.", None, example=0
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from self.attends(experiment)
        samples = getattr(experiment.task, "samples", None)
        if self.sample is not None and samples is not None and self.sample >= samples:
            yield Remark(("sample",), f"must be below task.samples = {samples}: samples count from 0")

    def build(self, context: Any) -> Any:
        from ...probes import attention_map

        return attention_map(self.sample)


@kind("probe", "induction_score")
class InductionScore(ProbeKind):
    """How much every head looks, from a word's second occurrence, at the place after its first; training samples."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from self.attends(experiment)
        task = experiment.task
        if task is not None and task.traits.inputs not in (None, "words"):
            yield Remark((), f"must not be induction_score for the task {task.kind}, which has no words")
        yield from ProbeKind.check(self, experiment)

    def build(self, context: Any) -> Any:
        from ...probes import induction_score

        return induction_score(context.problem.samples.tokens)


@kind("probe", "fresh")
class Fresh(ProbeKind):
    """Loss, and accuracy where there is one, on `samples` fresh samples of the task's law."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    samples: Annotated[Whole, Field(ge=1, le=10**6)] = about("How many fresh samples.", 1000)

    def check(self, experiment: Any) -> Iterator[Remark]:
        task = experiment.task
        if task is not None and not task.traits.fresh:
            yield Remark((), f"must not be fresh for the task {task.kind}, whose law is not known",
                         "take a plugin's probe that holds samples of its own")  # fmt: skip
        yield from ProbeKind.check(self, experiment)

    def build(self, context: Any) -> Any:
        from ...probes import fresh_accuracy, fresh_loss

        task = context.experiment.task.fresh(self.samples, context)
        return [fresh_loss(task)] + [fresh_accuracy(task)] * (task.target != "value")


@kind("probe", "margins")
class Margins(ProbeKind):
    """Quartiles of the training samples' margins."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        task = experiment.task
        if task is not None and task.traits.labels == "number":
            yield Remark((), f"must not be margins for the task {task.kind}: numbers are not right or wrong")

    def build(self, context: Any) -> Any:
        from ...probes import margins

        return margins()


@kind("probe", "norm")
class Norm(_OfArray):
    """Norm of the trained array, or of the block of arrays, that `of` names."""

    of: ParameterName = about("The trained array, or block of arrays.", example="W_V")

    def build(self, context: Any) -> Any:
        from ...probes import norm

        return norm(self.of)


@kind("probe", "rank")
class Rank(_OfArray):
    """Effective rank of the trained matrix that `of` names."""

    block: ClassVar[bool] = False

    of: ParameterName = about("The trained matrix.", example="W_V")

    def build(self, context: Any) -> Any:
        from ...probes import rank

        return rank(self.of)


@kind("probe", "singular_values")
class SingularValues(ProbeKind):
    """Singular values of the product of trained matrices that `of` names, largest first."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    of: Annotated[tuple[ParameterName, ...], Listed, Field(min_length=1, max_length=20)] = about(
        "The factors from left to right; `.T` after a name for the transpose.", example=["W_K.T", "W_Q"]
    )
    count: Annotated[Whole, Field(ge=1, le=10**4)] | None = about(
        "How many of the largest; all if not given.", None, example=3
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from ProbeKind.check(self, experiment)
        known = None if experiment.model is None else experiment.model.parameter_names()
        for i, name in enumerate(self.of if known is not None else ()):
            if name.removesuffix(".T") not in known:
                what = f"must name one matrix of the model, and {name} is none"
                yield Remark(("of", i), what, meant(name, known))

    def build(self, context: Any) -> Any:
        from ...probes import singular_values

        return singular_values(*self.of, count=self.count)


@kind("probe", "subspace_alignment")
class SubspaceAlignment(ProbeKind):
    """How far the leading `rank`-dimensional subspaces of two trained matrices agree, 0 … 1: the output or input side
    of `of` and that of `to`, or of itself at t = 0."""

    traits: ClassVar[Traits] = Traits(matrices=True)

    of: ParameterName = about("A trained matrix.", example="W_K")
    to: ParameterName | None = about("Another, or itself at t = 0 if not given.", None, example="W_Q")
    rank: Annotated[Whole, Field(ge=1)] = about("Dimension of the leading subspaces.", 1)
    sides: Annotated[tuple[Literal["output", "input"], ...], Listed, Field(min_length=2, max_length=2)] | None = about(
        "`output` or `input` side of each.", None, example=["output", "input"]
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from ProbeKind.check(self, experiment)
        yield from self.named(experiment, "of", "to", block=False)

    def build(self, context: Any) -> Any:
        from ...probes import subspace_alignment

        return subspace_alignment(self.of, self.to, rank=self.rank, sides=self.sides)
