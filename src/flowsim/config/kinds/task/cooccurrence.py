"""The paper's task."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ...base import Count, FilePath, Listed, Whole, about
from ...kind import Traits, kind
from ...remark import Remark
from .base import TaskKind

LARGEST_TASK = 10**8  # tokens


@kind("task", "cooccurrence")
class CooccurrenceTask(TaskKind):
    """The paper's task: is a sequence of words holding both target words or not (docs: mathematics, "The task")."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="sign", fresh=True)

    samples: Count = about("n, how many samples.", example=60)
    length: Count = about("L, words of a sample.", example=5)
    vocabulary: Count = about("d, how many words there are.", example=64)
    targets: Annotated[Count, Field(ge=2)] = about("How many target words a sample may hold.", 2)
    distinct_words: bool = about("All random words of the training set differ.", False)
    exact_groups: bool = about("Group sizes are exact rather than drawn.", True)
    group_sizes: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Listed] | None = about(
        "Other group sizes than the paper's: all targets, then each alone, then none.", None, example=[6, 2, 2, 2]
    )
    embedding: FilePath | None = about(
        "An `.npz` file whose array `embedding` has one column for each word; one-hot words if not given.",
        None,
        example="embedding.npz",
    )

    def check(self, experiment: Any) -> Iterator[Remark]:
        yield from self._sizes()
        yield from self._groups()
        yield from self._distinct()

    def named_files(self) -> Mapping[str, str]:
        return {} if self.embedding is None else {"embedding": self.embedding}

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
        if self.embedding is not None:
            from ...arrays import load_embedding, refusals

            path = folder / self.embedding
            yield from refusals("embedding", lambda: load_embedding(path, self.vocabulary))

    def build(self, context: Any) -> Any:
        from ....tasks import cooccurrence
        from ...arrays import load_embedding

        given = self.model_dump(exclude={"kind", "embedding"})
        path = self.embedding
        embedding = None if path is None else load_embedding(context.path(path), self.vocabulary)
        return cooccurrence(**given, embedding=embedding, key=context.key("task"))

    def _sizes(self) -> Iterator[Remark]:
        k = self.targets
        if self.length < k + 1:
            yield Remark(("task", "length"), f"must be at least {k + 1}, to hold {k} target words and the common word")
        if self.vocabulary < k + 2:
            what = f"{k} targets, the common word, a random word"
            yield Remark(("task", "vocabulary"), f"must be at least {k + 2}: {what}")
        if self.samples * self.length > LARGEST_TASK:
            yield Remark(("task", "samples"), f"must be such that samples × length is at most {LARGEST_TASK:.0e}")

    def _groups(self) -> Iterator[Remark]:
        if self.group_sizes is not None:
            if len(self.group_sizes) != self.targets + 2 or sum(self.group_sizes) != self.samples:
                what = f"must be {self.targets + 2} numbers with sum {self.samples}, samples of each group"
                yield Remark(("task", "group_sizes"), what, "all targets first, then each alone, then none")
        elif self.exact_groups:
            yield from divisible(self.samples, 2 * (self.targets + 1))

    def _distinct(self) -> Iterator[Remark]:
        if not self.distinct_words or self.length < self.targets + 1:
            return
        n, k = self.samples, self.targets
        positions = n * (self.length - 1)
        sizes = self.group_sizes
        if sizes is None and self.exact_groups and n % (2 * (k + 1)) == 0:
            sizes = (n // 2, *(n // (2 * (k + 1)),) * (k + 1))
        if sizes is not None and len(sizes) == k + 2:
            positions -= k * sizes[0] + sum(sizes[1:-1])
        elif self.exact_groups:
            return  # said already: the samples cannot be divided so
        need = positions + k + 1
        if self.vocabulary < need:
            upto = "up to " if sizes is None else ""
            yield Remark(
                ("task", "vocabulary"),
                f"must be at least {need} for distinct_words "
                f"({upto}{positions} random positions, {k + 1} signal words)",
                "raise it, or set distinct_words: false",
            )


def divisible(samples: int, unit: int) -> Iterator[Remark]:
    """Groups of exact size need a number of samples that can be divided so."""
    if samples % unit:
        near = max(round(samples / unit), 1) * unit
        remedy = f"take {near}, or set exact_groups: false"
        yield Remark(("task", "samples"), f"must be divisible by {unit} for groups of exact size", remedy)
