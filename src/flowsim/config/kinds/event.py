"""`events`: moments that are found and recorded while the flow runs (specification section 6)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from ..base import Identifier, Listed, Positive, Whole
from ..kind import Kind, kind, section_fields
from ..remark import Remark
from ..sections import of


@section_fields("event")
class EventKind(Kind):
    """**Fields:** `name`: what the event is called in the results, its kind if not given; `terminal`: stop there
    instead of passing; `direction`: which crossings count, the kind's own if not given.
    """

    name: Identifier = ""
    terminal: bool = False
    direction: Literal["up", "down", "both"] | None = None

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

    margin: float


@kind("event", "mlp_aligned")
class MlpAligned(_OfPaper):
    """G(0) and G(1) reach `level`, and G(2) reaches -`level`."""

    level: float


@kind("event", "attention_moves")
class AttentionMoves(EventKind):
    """An attention probability is `epsilon` away from where it started."""

    epsilon: Annotated[float, Field(gt=0, lt=1)]

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

    value: Positive


@kind("event", "gradient_below")
class GradientBelow(EventKind):
    """The norm of the gradient falls below `value`."""

    value: Positive


@kind("event", "crossing")
class ProbeCrossing(EventKind):
    """A probe crosses a value.

    **Fields:** `probe`: any kind of probe, `{kind: norm, of: W}`; `value`: what it crosses; `entry`: which entry, of a
    probe of several numbers; `of_entries`: or their `max`, `min` or `mean`.
    """

    probe: of("probe")
    value: float = 0.0
    entry: Annotated[tuple[Whole, ...], Listed] | None = None
    of_entries: Literal["max", "min", "mean"] | None = None

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
