"""`events`: moments that are found and recorded while the flow runs."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ..base import Identifier, Listed, Positive, Whole, about
from ..kind import Kind, kind, section_fields
from ..remark import Remark
from ..sections import of


@section_fields("event")
class EventKind(Kind):
    """What every event has."""

    name: Identifier = about("What the event is called in the results; its kind if not given.", "", example="reached")
    terminal: bool = about("Stop there instead of passing.", False)
    direction: Literal["up", "down", "both"] | None = about(
        "Which crossings count; the kind's own if not given.", None, example="down"
    )

    def model_post_init(self, context: Any) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    def build(self, context: Any) -> Any:
        from ... import events

        return getattr(events, self.kind)(**self.model_dump(exclude={"kind", *EventKind.model_fields}))


class _OfClassification(EventKind):
    """An event of margins, which numbers have not."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        task = experiment.task
        if task is not None and task.traits.labels == "number":
            why = "numbers are not right or wrong"
            yield Remark((), f"must not be {self.kind} for the task {task.kind}: {why}",
                         "take loss_below or gradient_below, or write `events: []`")  # fmt: skip


class _OfPaper(EventKind):
    """An event of the paper's model."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        if experiment.model is None or not experiment.model.traits.paper:
            yield Remark((), f"must not be {self.kind}: only cooccurrence_transformer has it")


@kind("event", "phase1_end")
class Phase1End(_OfClassification):
    """Every training sample is classified correctly."""


@kind("event", "margin_reached")
class MarginReached(_OfClassification):
    """The smallest margin reaches `margin`."""

    margin: float = about("What the smallest margin reaches.", example=1.0, unit="prediction")


@kind("event", "mlp_aligned")
class MlpAligned(_OfPaper):
    """G(0) and G(1) reach `level`, and G(2) reaches -`level`."""

    level: float = about("What G(0), G(1) and -G(2) reach.", example=0.1, unit="1")


@kind("event", "attention_moves")
class AttentionMoves(EventKind):
    """An attention probability is `epsilon` away from where it started."""

    epsilon: Annotated[float, Field(gt=0, lt=1)] = about(
        "How far an attention probability has moved.", example=0.01, unit="1"
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        model = experiment.model
        if model is not None and model.traits.attention is False:
            yield Remark((), f"must not be {self.kind}: {model.kind} has no attention")


@kind("event", "common_word_turns")
class CommonWordTurns(_OfPaper):
    """G of the common word falls faster than either target word's rises."""


@kind("event", "loss_below")
class LossBelow(EventKind):
    """The training loss falls below `value`."""

    value: Positive = about("What the training loss falls below.", example=0.01, unit="loss")


@kind("event", "gradient_below")
class GradientBelow(EventKind):
    """The norm of the gradient falls below `value`."""

    value: Positive = about("What the norm of the gradient falls below.", example=0.001, unit="gradient")


@kind("event", "saddle")
class Saddle(EventKind):
    """Every local minimum of the gradient's norm, with the `count` lowest eigenvalues of the Hessian and its index."""

    count: Annotated[Whole, Field(ge=1, le=256)] = about("How many of the lowest eigenvalues are recorded.", 6)
    steps: Annotated[Whole, Field(ge=2, le=1000)] = about("Lanczos steps, for models above 256 parameters.", 48)
    threshold: Annotated[float, Field(gt=0, lt=1)] = about(
        "Eigenvalues below this share of the largest count as 0.", 0.02, unit="1"
    )
    floor: Positive = about("Gradients below it count as rounding.", 1e-9, unit="gradient")

    def check(self, experiment: Any) -> Iterator[Remark]:
        if experiment.flow.reduction == "gram":
            yield Remark((), "must not be saddle with the reduction gram, which forms no matrices",
                         "set flow.reduction: auto")  # fmt: skip
        if self.steps < 2 * self.count:
            yield Remark(("steps",), f"must be at least 2 count = {2 * self.count}")


@kind("event", "crossing")
class ProbeCrossing(EventKind):
    """A probe crosses a value."""

    probe: of("probe") = about("Any kind of probe.", example={"kind": "norm", "of": "W"})
    value: float = about("What it crosses.", 0.0, unit="that of the probe")
    entry: Annotated[tuple[Whole, ...], Listed] | None = about(
        "Which entry, of a probe of several numbers.", None, example=[0]
    )
    of_entries: Literal["max", "min", "mean"] | None = about(
        "Or the largest, smallest or mean of all entries.", None, example="max"
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        for remark in self.probe.check(experiment):
            yield remark._replace(path=("probe", *remark.path))
        if self.entry is not None and self.of_entries is not None:
            yield Remark(("of_entries",), "must be left out where `entry` is given")

    def build(self, context: Any) -> Any:
        from ...events import of_probe
        from ..making import probes_of

        made = probes_of(self.probe, context)
        if len(made) != 1:
            names = ", ".join(made)
            raise ValueError(f"{self.probe.kind} measures {names}: an event needs one probe")
        ((name, probe),) = made.items()
        return of_probe(
            self.name,
            probe,
            value=self.value,
            entry=self.entry,
            of_entries=self.of_entries,
            direction=self.direction or "up",
            description=f"{name} crosses {self.value:g}",
        )
