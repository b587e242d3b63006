"""`figures`: what is drawn of a run."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ..base import about
from ..kind import Kind, kind, section_fields

DEFAULT = ("loss", "attention", "alignment", "balance")
"""Drawn, with what `probes` asks for, unless others are listed."""


Inches = Annotated[float, Field(gt=0, lt=100)]


@section_fields("figure")
class FigureKind(Kind):
    """How a figure looks: the fields of `flowsim.plot.FigureStyle`; what is not given is the figure's own."""

    time_axis: Literal["auto", "log", "linear"] | None = about(
        "As the times were saved if not given.", None, example="linear"
    )
    width: Literal["column", "page"] | Inches | None = about(
        "Width: `column` (3.4 in), `page` (6.9 in) or a number; the figure's own if not given.",
        None,
        example="page",
        unit="in",
    )
    height: Inches | None = about("Height; the figure's own if not given.", None, example=2.5, unit="in")
    seeds: Literal["band", "lines"] | None = about(
        "An ensemble as median with a `band`, or as `lines`; a band if not given.", None, example="lines"
    )

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
    "balance": "Σ g over each group of samples, and the ratios of Lemmas 4.4 and 4.5.",
    "invariants": "Conserved quantities and their drift.",
    "structure": "Singular values, effective ranks and norms of the model's arrays.",
    "phases": "The loss, cut at the saddles that the flow passed, with the heights of its plateaus.",
    "sensitivity": "Derivatives of the loss by what `sensitivities` lists.",
    "influence": "How every sample moves what `influence` lists, by groups.",
    "spectrum": "The Hessian's spectrum over time, as a heat map.",
    "event_times": "When each event happened, over the seeds of an ensemble.",
    "descent": "Distance of the optimizers' runs to the flow.",
}


def _register(name: str, about: str) -> type[FigureKind]:
    words = "".join(part.capitalize() for part in name.split("_"))
    return kind("figure", name)(type(f"{words}Figure", (FigureKind,), {"__doc__": about, "__module__": __name__}))


OF_NAME = {name: _register(name, about) for name, about in _ABOUT.items()}
