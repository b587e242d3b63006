"""Figures of a run, drawn from its saved trajectory alone.

    flowsim.plot.draw(result, "loss")

`draw` gives one Matplotlib figure of a result, a run folder or a dataset; `FIGURES` names them, and any saved probe can
be drawn by its own name. A figure is a function of one `Drawing`; `write_figures` draws several into a folder.
"""

from . import claims, figures, style, values, work_precision
from .claims import draw_claims
from .drawing import Drawing, FigureStyle
from .files import FigureRecord, of_function, write_figures
from .need import CannotDraw
from .registry import FIGURES, Kind
from .show import descents, draw
from .style import rendered
from .types import Events

__all__ = [
    "FIGURES",
    "CannotDraw",
    "Drawing",
    "Events",
    "FigureRecord",
    "FigureStyle",
    "Kind",
    "claims",
    "descents",
    "draw",
    "draw_claims",
    "figures",
    "of_function",
    "rendered",
    "style",
    "values",
    "work_precision",
    "write_figures",
]
