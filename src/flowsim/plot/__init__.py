"""Figures of a run, drawn from its saved trajectory alone.

`FIGURES` names them; `draw` writes them into a folder; `FIGURES[name](dataset, events)` gives a Matplotlib `Figure`
for a notebook or for changes by hand.
"""

from . import alignment, attention, balance, invariants, loss, style, work_precision
from ._draw import FIGURES, FigureRecord, Kind, draw, rendered
from ._need import CannotDraw
from ._types import Events, TimeAxis
from ._write import write_whole

__all__ = [
    "FIGURES",
    "CannotDraw",
    "Events",
    "FigureRecord",
    "Kind",
    "TimeAxis",
    "alignment",
    "attention",
    "balance",
    "draw",
    "invariants",
    "loss",
    "rendered",
    "style",
    "work_precision",
    "write_whole",
]
