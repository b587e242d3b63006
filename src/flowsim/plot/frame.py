"""What surrounds the curves: time axis, border between the phases, legends, and the sentences of captions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from . import style
from .drawing import Drawing, first_time
from .types import Events

_ROW = 0.135  # inches: one line of a legend
_BORDER = {"color": "#555555", "linewidth": 0.8, "linestyle": (0, (2, 1.5)), "zorder": 1.5}


def border_time(events: Events) -> float | None:
    """The end of phase 1, None if it was not watched or never came."""
    return first_time(events.get("phase1_end"))


def over_time(
    drawing: Drawing, rows: int = 1, columns: int = 1, *, overlaid: bool = True, **size: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with panels over time, before anything is drawn into them.

    **Arguments:** `overlaid`: do the runs of descent share the time axis? `size`: as of `Drawing.panels`.
    """
    figure, panels = drawing.panels(rows, columns, **size)
    set_time_axis(panels, [drawing.dataset, *(drawing.overlays if overlaid else ())], drawing.time_axis)
    return figure, panels


def set_time_axis(panels: Sequence[Axes], runs: Sequence[xarray.Dataset], time_axis: str) -> None:
    """Scale and limits of the shared time axis; call it before drawing, so that curves know the scale."""
    times = [run["time"].values for run in runs]
    last = max(time[-1] for time in times if time.size)
    first = times[0][times[0] > 0][0] if time_axis == "log" else 0.0  # the flow's: run 0
    for axes in panels:
        axes.set_xscale(time_axis)
        axes.set_xlim(first, last)


def finish(panels: Sequence[Axes], events: Events, time_axis: str, label: str = "time $t$") -> None:
    """Label the time axis, draw the border between the phases into every panel, and thin out crowded log ticks."""
    panels[-1].set_xlabel(label)
    for axes in panels:
        for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            if getattr(axes, f"get_{name}scale")() == "log":
                _thin_ticks(axis)
    border = border_time(events)
    if border is not None:
        for axes in panels:
            axes.axvline(border, **_BORDER)
        label_border(panels[0], border, time_axis)


def _thin_ticks(axis) -> None:
    """At most eight labelled decades. Minor ticks only where decades are few, and never labelled."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades <= 1:
        return  # Matplotlib's own choice labels fractions of a decade, which are needed here
    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=12) if decades <= 7 else NullLocator())
    axis.set_minor_formatter(NullFormatter())


def label_border(axes: Axes, border: float, time_axis: str) -> None:
    """Name both sides of the border, above the axes where no curve can be; near an edge, one label for both."""
    low, high = axes.get_xlim()
    place = (border - low) / (high - low)
    if time_axis == "log":
        place = np.log(border / low) / np.log(high / low) if border > 0 else -1.0
    if not 0 <= place <= 1:
        return
    text = {"transform": axes.transAxes, "va": "bottom", "fontsize": 7, "color": "#333333"}
    if place < 0.17:
        axes.text(place, 1.015, f"| phase 2 (phase 1 ended at $t$ = {border:.3g})", ha="left", **text)
    elif place > 0.83:
        axes.text(place, 1.015, f"phase 1 (ends at $t$ = {border:.3g}) |", ha="right", **text)
    else:
        axes.text(place - 0.015, 1.015, "phase 1", ha="right", **text)
        axes.text(place, 1.015, "|", ha="center", **text)
        axes.text(place + 0.015, 1.015, "phase 2", ha="left", **text)


def handle(look: style.Look, **changes) -> Line2D:
    """A legend entry for a look."""
    options = {"color": look.color, "marker": look.marker or None, "markeredgewidth": 0, **changes}
    return Line2D([], [], label=look.label, **options)


def overlay_handles(overlays: Sequence[xarray.Dataset], colors: Sequence[str] = ()) -> list[Line2D]:
    """Legend entries for the runs of descent, in their `colors` where they have some of their own."""
    shown = list(colors) or ["#333333"] * len(overlays)
    return [
        Line2D([], [], color=color, linestyle=style.dash(index), linewidth=0.8, label=overlay_label(run, index))
        for index, (run, color) in enumerate(zip(overlays, shown, strict=True))
    ]


def overlay_label(run: xarray.Dataset, index: int) -> str:
    """What the user calls a run of descent, as Matplotlib shows it."""
    return style.plain(_overlay_name(run, index))


def _overlay_name(run: xarray.Dataset, index: int) -> str:
    return str(run.attrs.get("label") or f"gradient descent {index + 1}")


def time_label(overlays: Sequence[xarray.Dataset]) -> str:
    return f"time $t$ (gradient descent: {clock(overlays)})" if overlays else "time $t$"


def clock(overlays: Sequence[xarray.Dataset]) -> str:
    """What places the runs of descent' steps in time; a run says so itself where it is not the learning rate."""
    return ", ".join(dict.fromkeys(style.plain(run.attrs.get("clock", "steps × learning rate")) for run in overlays))


def legend(drawing: Drawing, figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """A legend below the panels, outside them, where it covers no curve; in at most so many columns.

    In axes that were given, inside the first of them: the figure around it is not ours.
    """
    if drawing.axes:
        drawing.axes[0].legend(handles=handles, loc="best", fontsize="small")
        return
    fitting = fitting_columns(handles, columns, figure.get_figwidth())
    figure.legend(handles=handles, loc="outside lower center", ncols=fitting)
    more_rows = max(-(-len(handles) // fitting) - 2, 0)
    figure.set_figheight(figure.get_figheight() + _ROW * more_rows)  # the panels keep their size


def fitting_columns(handles: Sequence[Artist], most: int, width: float) -> int:
    """How many columns fit into `width` inches: Matplotlib lets a legend run over the edge."""
    lengths = [len(str(handle.get_label())) for handle in handles]
    for columns in range(most, 1, -1):
        longest = [max(part) for part in np.array_split(lengths, columns) if part.size]  # as Matplotlib deals them out
        if sum(0.42 + 0.056 * characters for characters in longest) <= width:  # inches: handle and gap, one letter
            return columns
    return 1


def phase_sentence(events: Events) -> str:
    """Where the border between the phases is drawn, for the caption; nothing where phase 1 was not watched."""
    if "phase1_end" not in events:
        return ""
    border = border_time(events)
    if border is None:
        return "No border between the phases is drawn: the end of phase 1 was not reached."
    return (
        f"Dashed vertical line: the end of phase 1 at t = {border:.4g}, "
        "when every training sample is first classified correctly."
    )


def scale_sentence(time_axis: str) -> str:
    return "Time is on a logarithmic axis, from the first saved time after t = 0." if time_axis == "log" else ""


def band_sentence(dataset: xarray.Dataset, name: str) -> str:
    if name in dataset and "seed" in dataset[name].dims:
        return (
            f"Lines are medians over {dataset.sizes['seed']} seeds, bands reach from the 10th to the 90th percentile."
        )
    if f"{name}_error" in dataset:
        return "The numerical error bound is drawn as a band where it is wider than the line."
    return ""


def overlay_sentence(overlays: Sequence[xarray.Dataset], needed: str) -> str:
    """Which runs of descent are drawn, and which could not be."""
    labels = [(_overlay_name(run, index), needed in run) for index, run in enumerate(overlays)]
    drawn = "; ".join(label for label, there in labels if there)
    absent = "; ".join(label for label, there in labels if not there)
    first = f"Dark broken lines: {drawn}, at time = {clock(overlays)}." if drawn else ""
    second = f"Not drawn for lack of {needed}: {absent}." if absent else ""
    return sentences(first, second)


def closing_sentences(drawing: Drawing, name: str) -> str:
    """What the caption of a figure of `name` over time ends with: phases, time axis, bands and runs of descent."""
    return sentences(
        phase_sentence(drawing.events),
        scale_sentence(drawing.time_axis),
        band_sentence(drawing.dataset, name),
        overlay_sentence(drawing.overlays, name),
    )


def sentences(*parts: str) -> str:
    """Join those that say something."""
    return " ".join(part for part in parts if part)
