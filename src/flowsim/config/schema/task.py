"""`task`: what is learned."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Arguments, Count, FilePath, Identifier, Listed, NotNegative, Positive, Section, ShortKind, Whole


class CooccurrenceTask(Section):
    """The paper's task, drawn (specification section 1).

    **Fields:** `samples`, `length`, `vocabulary`: n, L, d; `targets`: number of target words; `distinct_words`: all
    random words of the training set differ; `exact_groups`: group sizes are exact rather than drawn;
    `group_sizes`: other sizes than the paper's, all targets first; `embedding`: an
    `.npz` file whose array `embedding` has one column for each word, one-hot words if None.
    """

    kind: Literal["cooccurrence"] = "cooccurrence"
    samples: Count
    length: Count
    vocabulary: Count
    targets: Annotated[Count, Field(ge=2)] = 2
    distinct_words: bool = False
    exact_groups: bool = True
    group_sizes: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Listed] | None = None
    embedding: FilePath | None = None


class FileTask(Section):
    """The user's own samples: an `.npz` file with `tokens`, `labels` and, if there are any, `groups`."""

    kind: Literal["file"] = "file"
    path: FilePath
    vocabulary: Count


class NextTokenTask(Section):
    """Sequences of a Markov chain; the label of a position is the word after it.

    **Fields:** `order`: words that decide the next one; `concentration`: the smaller, the more predictable;
    `predict`: labels of `each` position or of the `last` one.
    """

    kind: Literal["next_token"] = "next_token"
    samples: Count
    length: Count
    vocabulary: Annotated[Count, Field(ge=2)]
    order: Annotated[Whole, Field(ge=0, le=20)] = 1
    concentration: Positive = 0.3
    predict: Literal["each", "last"] = "each"


class CooccurrenceLanguageTask(Section):
    """The paper's task as a language, with correlated random words: the word after a sequence is yes or no."""

    kind: Literal["cooccurrence_language"] = "cooccurrence_language"
    samples: Count
    length: Annotated[Count, Field(ge=3)]
    vocabulary: Annotated[Count, Field(ge=7)]
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    exact_groups: bool = True


class InContextRegressionTask(Section):
    """Prompts of `examples` pairs (x, ⟨w, x⟩), each with a w of its own, and a query."""

    kind: Literal["in_context_regression"] = "in_context_regression"
    samples: Count
    examples: Count
    features: Count
    noise: NotNegative = 0.0


class RegressionTask(Section):
    """y = f(A x) + noise.

    **Fields:** `spectrum`: singular values of A, Gaussian entries if None; `teacher`: f; `whitened`: the inputs'
    second moments are the identity exactly.
    """

    kind: Literal["regression"] = "regression"
    samples: Count
    features: Count
    outputs: Count = 1
    spectrum: Annotated[tuple[Positive, ...], Listed] | None = None
    teacher: Literal["linear", "tanh"] = "linear"
    noise: NotNegative = 0.0
    whitened: bool = False


class PluginTask(Section):
    """A task that a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier
    arguments: Arguments = Field(default_factory=dict)


TaskConfig = Annotated[
    CooccurrenceTask
    | FileTask
    | NextTokenTask
    | CooccurrenceLanguageTask
    | InContextRegressionTask
    | RegressionTask
    | PluginTask,
    Field(discriminator="kind"),
    ShortKind,
]
