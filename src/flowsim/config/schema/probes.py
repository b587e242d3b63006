"""`probes`: what is measured beside the standard set."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import Identifier, Listed, Section, Whole
from .flow import ParameterName


class Sharpness(Section):
    """The `count` largest eigenvalues of the Hessian of the loss, or of its block in the parameters `of`, by `steps`
    Lanczos steps at every saved time."""

    kind: Literal["sharpness"] = "sharpness"
    of: ParameterName | None = None
    count: Annotated[Whole, Field(ge=1, le=24)] = 1
    steps: Annotated[Whole, Field(ge=24, le=1000)] = 24


class AttentionMap(Section):
    """What every head attends to: of training sample number `sample`, or their mean."""

    kind: Literal["attention_map"] = "attention_map"
    sample: Annotated[Whole, Field(ge=0)] | None = None


class InductionScore(Section):
    """How much every head looks, from a word's second occurrence, at the place after its first; training samples."""

    kind: Literal["induction_score"] = "induction_score"


class Fresh(Section):
    """Loss, and accuracy where there is one, on `samples` fresh samples of the task's law."""

    kind: Literal["fresh"] = "fresh"
    samples: Annotated[Whole, Field(ge=1, le=10**6)] = 1000


class Margins(Section):
    """Quartiles of the training samples' margins."""

    kind: Literal["margins"] = "margins"


class Norm(Section):
    """Norm of the trained array, or of the block of arrays, that `of` names."""

    kind: Literal["norm"] = "norm"
    of: ParameterName


class Rank(Section):
    """Effective rank of the trained matrix that `of` names."""

    kind: Literal["rank"] = "rank"
    of: ParameterName


class SubspaceAlignment(Section):
    """How far the leading `rank`-dimensional subspaces of two trained matrices agree, 0 … 1: the output or input side
    of `of` and that of `to`, or of itself at t = 0."""

    kind: Literal["subspace_alignment"] = "subspace_alignment"
    of: ParameterName
    to: ParameterName | None = None
    rank: Annotated[Whole, Field(ge=1)] = 1
    sides: Annotated[tuple[Literal["output", "input"], ...], Listed, Field(min_length=2, max_length=2)] | None = None


class PluginProbe(Section):
    """A probe whose function a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier


def _named(value: Any) -> Any:
    """A name alone is that of a probe of ours, or else of a plugin's."""
    if not isinstance(value, str):
        return value
    return {"kind": value} if value in KINDS else {"kind": "plugin", "use": value}


KINDS = ("sharpness", "attention_map", "induction_score", "fresh", "margins", "norm", "rank", "subspace_alignment")
ProbeConfig = Annotated[
    Sharpness | AttentionMap | InductionScore | Fresh | Margins | Norm | Rank | SubspaceAlignment | PluginProbe,
    Field(discriminator="kind"),
    BeforeValidator(_named),
]
