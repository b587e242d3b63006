"""`figures`: what is drawn of a run."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..kind import Kind, kind, section_fields

DEFAULT = ("loss", "attention", "alignment", "balance")
"""Drawn, with what `probes` asks for, unless others are listed."""


Inches = Annotated[float, Field(gt=0, lt=100)]


@section_fields("figure")
class FigureKind(Kind):
    """How a figure looks: the fields of `flowsim.plot.FigureStyle`; what is not given is the figure's own."""

    time_axis: Literal["auto", "log", "linear"] | None = None
    width: Literal["column", "page"] | Inches | None = None
    height: Inches | None = None
    seeds: Literal["band", "lines"] | None = None

    def options(self) -> dict[str, Any]:
        """What is given of the style."""
        return self.model_dump(include=set(FigureKind.model_fields) - {"kind"}, exclude_none=True)

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
