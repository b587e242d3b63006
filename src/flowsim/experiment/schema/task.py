"""`task`: what is learned."""

from typing import Annotated, Literal

from pydantic import Field

from ._base import Count, FilePath, Section, ShortKind


class CooccurrenceTask(Section):
    """The paper's task, drawn (specification section 1).

    **Fields:** `samples`, `length`, `vocabulary`: n, L, d; `targets`: number of target words; `distinct_words`: all
    random words of the training set differ; `exact_groups`: group sizes are exact rather than drawn; `embedding`: an
    `.npz` file whose array `embedding` has one column for each word, one-hot words if None.
    """

    kind: Literal["cooccurrence"] = "cooccurrence"
    samples: Count
    length: Count
    vocabulary: Count
    targets: Annotated[Count, Field(ge=2)] = 2
    distinct_words: bool = False
    exact_groups: bool = True
    embedding: FilePath | None = None


class FileTask(Section):
    """The user's own samples: an `.npz` file with `tokens`, `labels` and, if there are any, `groups`."""

    kind: Literal["file"] = "file"
    path: FilePath
    vocabulary: Count


TaskConfig = Annotated[CooccurrenceTask | FileTask, Field(discriminator="kind"), ShortKind]
