"""`figures`: what is drawn of a run."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..base import Listed, Positive
from ..kind import Kind, kind, section_fields

DEFAULT = ("loss", "attention", "alignment", "balance")
"""Drawn, with what `probes` asks for, unless others are listed."""


@section_fields("figure")
class FigureKind(Kind):
    """**Fields:** `time_axis`: `log` or `linear`, as the times are saved if not given; `size`: width and height in
    inches, the figure's own if not given.
    """

    time_axis: Literal["log", "linear"] | None = None
    size: Annotated[tuple[Positive, ...], Listed, Field(min_length=2, max_length=2)] | None = None

    def build(self, context: Any) -> Any:
        from ...plot import FIGURES

        return FIGURES[self.kind]


_ABOUT = {
    "loss": "The training loss, by groups of samples where there are any.",
    "attention": "The paper's attention scores of the common word and the targets.",
    "attention_maps": "What every head attends to, as maps at several times, and moving.",
    "alignment": "Alignment of the MLP with the words' values.",
    "balance": "How the attention scores and values of the paper's phases balance.",
    "invariants": "Conserved quantities and their drift.",
    "structure": "Singular values, effective ranks and norms of the model's arrays.",
    "event_times": "When each event happened, over the seeds of an ensemble.",
    "descent": "Distance of the optimizers' runs to the flow.",
}


def _register(name: str, about: str) -> type[FigureKind]:
    words = "".join(part.capitalize() for part in name.split("_"))
    return kind("figure", name)(type(f"{words}Figure", (FigureKind,), {"__doc__": about, "__module__": __name__}))


OF_NAME = {name: _register(name, about) for name, about in _ABOUT.items()}
