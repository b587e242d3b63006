"""One figure of whatever holds a run: a result, a run folder, a dataset."""

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..store import load, read_dataset
from . import values
from .drawing import Drawing, FigureStyle
from .registry import FIGURES, Kind


def draw(
    run: Any,
    figure: str = "loss",
    *,
    ax: Axes | Sequence[Axes] | None = None,
    descent: Sequence[Any] = (),
    style: Any = (),
    width: str | float | None = None,
    height: float | None = None,
    time_axis: str = "auto",
    seeds: str = "band",
) -> Figure:
    """A Matplotlib figure of a run.

        flowsim.plot.draw(result, "loss")
        flowsim.plot.draw("runs/figure1/2026-01-31T12-00-00Z-1a2b", "attention", width="column")

    **Arguments:** `run`: a result of `flowsim.simulate`, a run folder or what `flowsim.load` made of it, or a dataset
    as `trajectory.nc`; `figure`: one of `flowsim.plot.FIGURES`, or the name of any saved probe; `ax`: draw into these
    axes of your own (as many as the figure has panels); `descent`: results of `flowsim.descent.descend`, dashed over
    the flow; `style`: Matplotlib's, over flowsim's: a style's name, a mapping of rcParams, or a list of these; the
    rest may be left alone: `width`, `"column"` (3.4 in), `"page"`
    (6.9 in) or inches; `height` in inches; `time_axis`, `"log"`, `"linear"` or, as the times were saved, `"auto"`;
    `seeds`, of an ensemble the `"band"` or the `"lines"`.

    **Returns:** a `matplotlib.figure.Figure` without pyplot, which a notebook shows; `savefig` writes it.

    **Raises:** `ValueError` for an unknown figure or option, `flowsim.plot.CannotDraw` if the run lacks what the
    figure shows, `flowsim.store.StoreError` if the folder is not a run folder.
    """
    axes = [] if ax is None else [ax] if isinstance(ax, Axes) else list(ax)
    look = FigureStyle(time_axis, width, height, seeds, style)
    drawing = drawing_of(run, look, axes)
    over = [*drawing.overlays, *(one.dataset for one in descent)]
    drawing = dataclasses.replace(drawing, overlays=over)
    return kind_of(figure, drawing.dataset)(drawing)


def drawing_of(run: Any, style: FigureStyle | None = None, axes: Sequence[Axes] = ()) -> Drawing:
    """The `Drawing` of whatever holds a run; see `draw`."""
    style = style or FigureStyle()
    match run:
        case str() | os.PathLike():
            return drawing_of(load(Path(run)), style, axes)
        case xarray.Dataset():
            return Drawing(run, style=style, axes=axes)
        case object(dataset=xarray.Dataset() as dataset):
            events, path = getattr(run, "events", {}), getattr(run, "path", None)
            events = events if isinstance(events, Mapping) else {}
            overlays = descents(path) if isinstance(path, Path) else []
            return Drawing(dataset, events, overlays, getattr(run, "summary", None), style, axes)
        case _:
            raise ValueError(
                f"cannot draw {type(run).__name__}: give a result of flowsim.simulate, a run folder, or an "
                "xarray.Dataset."
            )


def descents(folder: Path) -> list[xarray.Dataset]:
    """The runs of descent in a run folder.

    **Raises:** `StoreError` if one cannot be read.
    """
    paths = (path for name in ("descent", "discrete") for path in (folder / name).glob("*.nc"))
    return [read_dataset(path) for path in sorted(paths)]


def kind_of(figure: str, dataset: xarray.Dataset) -> Kind:
    """A figure by its name, or that of a probe by the probe's.

    **Raises:** `ValueError`, with what there is and what may have been meant.
    """
    if figure in FIGURES:
        return FIGURES[figure]
    probes = [str(name) for name in dataset.data_vars if "time" in dataset[name].dims]
    if figure in probes:
        return values.kind(figure)
    near = difflib.get_close_matches(str(figure), [*FIGURES, *probes], 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"there is no figure or probe {figure!r}; {hint}figures: {', '.join(FIGURES)}; probes of this run: "
        f"{', '.join(probes) or 'none'}."
    )
