"""`save`: the times at which the path is measured; 0 and t1 are always among them."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..base import Listed, NotNegative, Positive, Section, Whole, about
from ..remark import Remark

Points = Annotated[Whole, Field(ge=2, le=100_000)]


class _Times(Section):
    def filled(self, t1: float) -> Any:
        """With the defaults that depend on the end of the run."""
        return self

    def check(self, t1: float) -> Iterator[Remark]:
        """Do the times lie inside the run, and increase?"""
        yield from ()


class LogTimes(_Times):
    """`points` times from `first` to t1 in equal ratios; `first` is 1e-3, or t1/1000 if smaller, unless given."""

    spacing: Literal["log"] = about("How the times are spaced.", "log")
    points: Points = about("How many times, in equal ratios.", 200)
    first: Positive | None = about(
        "The first after 0; 1e-3, or t1/1000 if smaller, if not given.", None, example=0.001, unit="time"
    )

    def filled(self, t1: float) -> Any:
        return self if self.first is not None else self.model_copy(update={"first": min(1e-3, t1 * 1e-3)})

    def check(self, t1: float) -> Iterator[Remark]:
        if self.first is not None and self.first >= t1:
            yield Remark(("save", "first"), f"must be below flow.t1 = {t1:g}")


class LinearTimes(_Times):
    """`points` times from 0 to t1 in equal steps."""

    spacing: Literal["linear"] = about("How the times are spaced.", "linear")
    points: Points = about("How many times, in equal steps.", 200)


class GivenTimes(_Times):
    """The listed times."""

    spacing: Literal["given"] = about("How the times are spaced.", "given")
    times: Annotated[tuple[NotNegative, ...], Listed, Field(min_length=1, max_length=100_000)] = about(
        "The times; 0 and t1 are added.", example=[0, 1, 10], unit="time"
    )

    def check(self, t1: float) -> Iterator[Remark]:
        previous = -1.0
        for i, time in enumerate(self.times):
            if time <= previous:
                yield Remark(("save", "times", i), f"must be above the time before it, {previous:g}: times increase")
            if time > t1:
                yield Remark(("save", "times", i), f"must be at most flow.t1 = {t1:g}")
            previous = time


def _spacing(value: Any) -> Any:
    """`{times: […]}` and `{points: 50}` say their spacing by what they hold."""
    if isinstance(value, dict) and "spacing" not in value:
        return {"spacing": "given" if "times" in value else "log", **value}
    return value


@dataclasses.dataclass(frozen=True)
class _AnyOf:
    """In the JSON Schema: a mapping that does not say its spacing may be read by several of the forms."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        made = handler(schema)
        return {"anyOf": made["oneOf"]}


SaveConfig = Annotated[
    LogTimes | LinearTimes | GivenTimes, Field(discriminator="spacing"), BeforeValidator(_spacing), _AnyOf()
]


def save_remarks(experiment: Any) -> Iterator[Remark]:
    """Times increase and lie inside the run."""
    yield from experiment.save.check(experiment.flow.t1)
