"""Figures of a run, drawn from its saved trajectory alone.

`FIGURES` names them; `draw` writes them into a folder; `FIGURES[name](dataset, events)` gives a Matplotlib `Figure`
for a notebook or for changes by hand.
"""

from . import (
    alignment,
    attention,
    attention_maps,
    balance,
    claims,
    descent,
    event_times,
    invariants,
    loss,
    structure,
    style,
    work_precision,
)
from .claims import draw_claims
from .draw import FIGURES, FigureRecord, Kind, draw, rendered
from .need import CannotDraw
from .types import Events, TimeAxis

__all__ = [
    "FIGURES",
    "CannotDraw",
    "Events",
    "FigureRecord",
    "Kind",
    "TimeAxis",
    "alignment",
    "attention",
    "attention_maps",
    "balance",
    "claims",
    "descent",
    "draw",
    "draw_claims",
    "event_times",
    "invariants",
    "loss",
    "rendered",
    "structure",
    "style",
    "work_precision",
]
