"""Tasks whose labels are words."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...base import Count, Positive, Whole, about
from ...kind import Traits, kind
from ...remark import Remark
from .base import TaskKind
from .cooccurrence import divisible

LARGEST_TABLE = 10**8  # transitions of a Markov chain


@kind("task", "next_token")
class NextTokenTask(TaskKind):
    """Sequences of a Markov chain; the label of a position is the word after it."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="word", fresh=True)
    fixes_law: ClassVar[bool] = True

    samples: Count = about("How many sequences.", example=64)
    length: Count = about("Positions of a sequence.", example=8)
    vocabulary: Annotated[Count, Field(ge=2)] = about("How many words there are.", example=6)
    order: Annotated[Whole, Field(ge=0, le=20)] = about("How many words decide the next one.", 1)
    concentration: Positive = about("The smaller, the more predictable the next word.", 0.3, unit="1")
    predict: Literal["each", "last"] = about("Labels of `each` position or of the `last` one.", "each")

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.vocabulary ** (self.order + 1) > LARGEST_TABLE:
            what = f"must be such that vocabulary^(order + 1) is at most {LARGEST_TABLE:.0e} transitions"
            yield Remark(("task", "order"), what)


@kind("task", "in_context_markov")
class InContextMarkovTask(TaskKind):
    """Sequences of a Markov chain of their own each, drawn from a Dirichlet prior; the label is the word after."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="word", fresh=True)

    samples: Count = about("How many sequences, each of a chain of its own.", example=64)
    length: Count = about("Positions of a sequence.", example=16)
    vocabulary: Annotated[Count, Field(ge=2, le=1000)] = about("How many words there are.", example=3)
    concentration: Positive = about("Of the Dirichlet prior of the rows; 1 is uniform.", 1.0, unit="1")
    predict: Literal["each", "last"] = about("Labels of `each` position or of the `last` one.", "each")


@kind("task", "cooccurrence_language")
class CooccurrenceLanguageTask(TaskKind):
    """The paper's task as a language, with correlated random words: the word after a sequence is yes or no."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="word", fresh=True)

    samples: Count = about("How many sequences.", example=60)
    length: Annotated[Count, Field(ge=3)] = about("Words of a sequence.", example=6)
    vocabulary: Annotated[Count, Field(ge=7)] = about("How many words there are.", example=12)
    correlation: Annotated[float, Field(ge=0, le=1)] = about(
        "How often a random word follows the one before it.", 0.5, unit="1"
    )
    exact_groups: bool = about("Half of the sequences say yes exactly, rather than as drawn.", True)

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.exact_groups:
            yield from divisible(self.samples, 6)
