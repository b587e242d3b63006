"""Tasks whose labels are words."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...base import Count, Positive, Whole
from ...kind import Traits, kind
from ...remark import Remark
from .base import TaskKind
from .cooccurrence import divisible

LARGEST_TABLE = 10**8  # transitions of a Markov chain


@kind("task", "next_token")
class NextTokenTask(TaskKind):
    """Sequences of a Markov chain; the label of a position is the word after it.

    **Fields:** `order`: words that decide the next one; `concentration`: the smaller, the more predictable;
    `predict`: labels of `each` position or of the `last` one.
    """

    traits: ClassVar[Traits] = Traits(inputs="words", labels="word", fresh=True)
    fixes_law: ClassVar[bool] = True

    samples: Count
    length: Count
    vocabulary: Annotated[Count, Field(ge=2)]
    order: Annotated[Whole, Field(ge=0, le=20)] = 1
    concentration: Positive = 0.3
    predict: Literal["each", "last"] = "each"

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.vocabulary ** (self.order + 1) > LARGEST_TABLE:
            what = f"must be such that vocabulary^(order + 1) is at most {LARGEST_TABLE:.0e} transitions"
            yield Remark(("task", "order"), what)


@kind("task", "cooccurrence_language")
class CooccurrenceLanguageTask(TaskKind):
    """The paper's task as a language, with correlated random words: the word after a sequence is yes or no."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="word", fresh=True)

    samples: Count
    length: Annotated[Count, Field(ge=3)]
    vocabulary: Annotated[Count, Field(ge=7)]
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    exact_groups: bool = True

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.exact_groups:
            yield from divisible(self.samples, 6)
