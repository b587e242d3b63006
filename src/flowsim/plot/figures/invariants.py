"""Drift of the flow's invariants, along the flow and along gradient descent."""

from collections.abc import Sequence

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw, require

PREFIX = "invariant_"
_LARGEST = 1e3  # drifts are relative to size: beyond this there is nothing to read
_TITLES = {
    "key_query": r"$W_K W_K^{\top} - W_Q W_Q^{\top}$",
    "mlp_value": r"$W^{\top} W - W_V W_V^{\top}$",
    "frozen_directions": r"$(I - a a^{\top}/\|a\|^2)\, W$",
    "energy_identity": "energy identity",
}
_COLORS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.BLUE)
_MARKERS = ("s", "D", "^", "v", "P")


def figure(drawing: Drawing) -> Figure:
    """Every `invariant_<name>(time)` in a panel: the flow in black, runs of descent in color, drift on a log axis.

    When to use it: to see that the flow keeps what it must keep to rounding, and that gradient descent breaks it in
    proportion to its learning rate.

    **Raises:** `CannotDraw` if no run has a variable `invariant_<name>`, or all drifts are exactly zero.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    require(dataset, ())
    names = _names([dataset, *overlays])
    if not names:
        raise CannotDraw("the trajectory has no variable named invariant_<name>")
    with drawing.settings():
        columns = 2 if len(names) == 4 else min(len(names), 3)
        rows = -(-len(names) // columns)
        width = style.COLUMN if columns == 1 else style.PAGE
        plot, panels = _frame.over_time(drawing, rows, columns, width=width, height=0.5 + 2.0 * rows)
        for axes in panels[len(names) :]:
            axes.remove()
        panels = panels[: len(names)]
        for axes, name in zip(panels, names, strict=True):
            _draw_panel(axes, name, [dataset, *overlays])
        for axes in panels[::columns]:
            axes.set_ylabel("relative drift")
        _frame.finish(panels, {}, drawing.time_axis)
        for axes in panels[-columns:]:
            axes.set_xlabel("time $t$")
            axes.tick_params(labelbottom=True)  # also above a place that is left empty
        _frame.legend(drawing, plot, _handles(dataset, overlays), columns=2 if columns == 1 else 3)
        return plot


def _names(runs: Sequence[xarray.Dataset]) -> list[str]:
    """Names without prefix, in order of appearance; error bands are no invariants."""
    found = {str(name): None for run in runs for name in run.data_vars if str(name).startswith(PREFIX)}
    return [name.removeprefix(PREFIX) for name in found if not (name.endswith("_error") and name[:-6] in found)]


def _look(index: int) -> style.Look:
    """The flow is run 0."""
    if index == 0:
        return style.Look("gradient flow", style.BLACK)
    return style.Look("", _COLORS[(index - 1) % len(_COLORS)], _MARKERS[(index - 1) % len(_MARKERS)])


def _draw_panel(axes, name: str, runs: Sequence[xarray.Dataset]) -> None:
    axes.set_yscale("log")
    axes.set_title(_TITLES.get(name) or style.plain(name.replace("_", " ")), loc="left")
    for index, run in enumerate(runs):
        if PREFIX + name in run:
            curve = _curves.pick(run, PREFIX + name)
            # descent that overflows leaves the axis at its top
            curve = curve.map(lambda values: np.minimum(np.abs(values), 10 * _LARGEST))
            _curves.draw_flow(axes, curve, _look(index), place=index / len(runs))
    axes.set_ylim(top=min(axes.get_ylim()[1], _LARGEST))


def _handles(dataset: xarray.Dataset, overlays: Sequence[xarray.Dataset]) -> list[Line2D]:
    labels = [_frame.overlay_label(run, index) for index, run in enumerate(overlays)]
    looks = [_look(index + 1) for index in range(len(overlays))]
    descent = [_frame.handle(style.Look(label, k.color, k.marker)) for label, k in zip(labels, looks, strict=True)]
    return [_frame.handle(_look(0)), *descent] if _names([dataset]) else descent


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset, overlays = drawing.dataset, drawing.overlays
    return _frame.sentences(
        "Drift of quantities that the exact gradient flow conserves, relative to their size, on a logarithmic axis.",
        "Along the flow (black) it is the integrator's error." if _names([dataset]) else "",
        "Gradient descent breaks them in proportion to its learning rate." if overlays else "",
        f"Of gradient descent, time is {_frame.clock(overlays)}." if overlays else "",
        "Where a drift is exactly zero nothing can be drawn.",
        _frame.scale_sentence(drawing.time_axis),
    )
