"""Drawing figures into files."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import xarray
from matplotlib.figure import Figure

from .._files import write_bytes
from .drawing import Drawing
from .need import CannotDraw
from .registry import FIGURES, Kind
from .style import rendered

_DRAWN = 4000  # times in one line of a figure


@dataclasses.dataclass(frozen=True)
class FigureRecord:
    """What became of one figure: its files and a caption, or the reason why it was skipped.

    **Fields:** `gif`: None for a figure that does not move.
    """

    name: str
    png: Path | None = None
    pdf: Path | None = None
    gif: Path | None = None
    skipped_reason: str | None = None
    caption: str = ""


def write_figures(
    figures: Iterable[str] | Mapping[str, Callable[[Drawing], Figure]], drawing: Drawing | None, directory: Path | str
) -> list[FigureRecord]:
    """Draw figures as PNG and PDF, and as GIF what moves.

    The same data gives the same bytes: no time stamps, no random names.

    **Arguments:** `figures`: names in `FIGURES`, or name -> `Kind` or any function of a `Drawing`; `drawing`: None if
    there is no trajectory; `directory`: made if missing.

    **Returns:** a record for each name, in order; one that lacks data is skipped, with the reason.

    **Raises:** `ValueError` for an unknown name, before anything is drawn.
    """
    wanted = figures if isinstance(figures, Mapping) else {name: _known(name) for name in figures}
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if drawing is None:
        return [FigureRecord(name, skipped_reason="there is no trajectory") for name in wanted]
    thin = dataclasses.replace(
        drawing, dataset=_thinned(drawing.dataset), overlays=[_thinned(overlay) for overlay in drawing.overlays]
    )
    kinds = {name: figure if isinstance(figure, Kind) else of_function(figure) for name, figure in wanted.items()}
    return [_write(name, kind, kind.of(thin), directory) for name, kind in kinds.items()]


def of_function(function: Callable[[Drawing], Figure]) -> Kind:
    """The figure that a user's function draws. What goes wrong in it is why it is skipped: the run is over by then."""

    def figure(drawing: Drawing) -> Figure:
        try:
            made = function(drawing)
        except CannotDraw:
            raise
        except Exception as error:
            said = " ".join(str(error).split()) or "no message"
            raise CannotDraw(f"its function raised {type(error).__name__}: {said}") from error
        if not isinstance(made, Figure):
            raise CannotDraw(f"its function returned a {type(made).__name__}, not a Matplotlib figure")
        return made

    return Kind(figure)


def _known(name: str) -> Kind:
    if name not in FIGURES:
        raise ValueError(f"unknown figure {name!r}; the figures are {', '.join(FIGURES)}.")
    return FIGURES[name]


def _thinned(dataset: xarray.Dataset) -> xarray.Dataset:
    """At most `_DRAWN` times, evenly picked, first and last among them: more than a page can show."""
    number = dataset.sizes.get("time", 0)
    if number <= _DRAWN:
        return dataset
    return dataset.isel(time=np.linspace(0, number - 1, _DRAWN).round().astype(int))


def _write(name: str, kind: Kind, drawing: Drawing, directory: Path) -> FigureRecord:
    png, pdf, gif = (directory / f"{name}.{form}" for form in ("png", "pdf", "gif"))
    try:
        figure = kind.figure(drawing)
    except CannotDraw as reason:
        for stale in (png, pdf, gif):  # of an earlier drawing: it would show other data than the record
            stale.unlink(missing_ok=True)
        return FigureRecord(name, skipped_reason=str(reason))
    write_bytes(png, rendered(figure, "png"))
    write_bytes(pdf, rendered(figure, "pdf"))
    if kind.animation is not None:
        write_bytes(gif, kind.animation(drawing))
    moving = None if kind.animation is None else gif
    return FigureRecord(name, png, pdf, moving, caption=kind.caption(drawing))
