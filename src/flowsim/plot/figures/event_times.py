"""When the events happened in each seed of an ensemble: histograms with quantiles."""

from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ...records import EventTimes
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw

PREFIX = "event_"
_MOST = 6  # panels
_BARS = 30
_COLOR, _BAND = style.BLUE, (0.05, 0.95)
_MEDIAN: dict[str, Any] = {"color": style.VERMILION, "linewidth": 1.3}
_BETWEEN: dict[str, Any] = {"color": "#333333", "linewidth": 0.8, "linestyle": (0, (1.5, 1.5))}


def figure(drawing: Drawing) -> Figure:
    """A histogram of first times over the seeds for each event that happened in any, with median and 5 to 95 %.

    A seed without the event counts as later than all others in the quantiles; how many there are stands above.

    **Raises:** `CannotDraw` if the trajectory is of no ensemble, or no event happened.
    """
    dataset, time_axis = drawing.dataset, drawing.time_axis
    times = _times(dataset)[:_MOST]
    if not times:
        raise CannotDraw("the trajectory has no event times over seeds")
    bounds = np.concatenate([event.times[np.isfinite(event.times)] for event in times])
    bins = _bins(float(bounds.min()), float(bounds.max()), time_axis)
    with drawing.settings():
        plot, panels = drawing.panels(len(times), height=0.9 + 1.05 * len(times))
        for axes, event in zip(panels, times, strict=True):
            axes.set_xscale(time_axis)
            axes.set_xlim(bins[0], bins[-1])
            _draw_panel(axes, event, bins)
        _frame.finish(panels, {}, time_axis, "first time $t$")
        handles = [
            Patch(facecolor=_COLOR, alpha=0.55, label="seeds"),
            Line2D([], [], label="median", **_MEDIAN),
            Line2D([], [], label="5 % and 95 %", **_BETWEEN),
        ]
        _frame.legend(drawing, plot, handles, columns=3)
        return plot


def _times(dataset: xarray.Dataset) -> list[EventTimes]:
    """Of the events that happened, in the order of their medians."""
    found = [
        EventTimes(str(name).removeprefix(PREFIX), "", dataset[name].values)
        for name in dataset.data_vars
        if str(name).startswith(PREFIX) and dataset[name].dims == ("seed",)
    ]
    there = [event for event in found if event.fired]
    return sorted(there, key=_median)


def _median(event: EventTimes) -> float:
    middle = event.quantile(0.5)
    return np.inf if middle is None else middle


def _bins(low: float, high: float, time_axis: str) -> np.ndarray:
    """Bars of one width on the axis, with a margin, also where all times are one."""
    if time_axis == "log" and low > 0:
        margin = max(0.05 * np.log(high / low), 0.02)
        return np.exp(np.linspace(np.log(low) - margin, np.log(high) + margin, _BARS + 1))
    margin = max(0.05 * (high - low), 0.02 * high, 1e-12)
    return np.linspace(low - margin, high + margin, _BARS + 1)


def _draw_panel(axes: Axes, event: EventTimes, bins: np.ndarray) -> None:
    axes.hist(event.times[np.isfinite(event.times)], bins=bins.tolist(), color=_COLOR, alpha=0.55, linewidth=0)
    middle = event.quantile(0.5)
    if middle is not None:
        axes.axvline(middle, **_MEDIAN)
    for q in _BAND:
        edge = event.quantile(q)
        if edge is not None:
            axes.axvline(edge, **_BETWEEN)
    never = event.times.size - event.fired
    title = style.plain(event.name.replace("_", " ")) + (f"  (never in {never} of {event.times.size})" if never else "")
    axes.set_title(title, loc="left")
    axes.set_ylabel("seeds")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset, time_axis = drawing.dataset, drawing.time_axis
    times = _times(dataset)
    said = []
    for event in times[:_MOST]:
        median = event.quantile(0.5)
        when = "never" if median is None else f"t = {median:.4g}"
        said.append(f"{event.name}: {when} (in {event.fired} of {event.times.size} seeds)")
    return _frame.sentences(
        f"First times of the events over {times[0].times.size if times else 0} seeds, with medians.",
        "; ".join(said) + "." if said else "",
        "A seed without the event counts as later than all others.",
        f"The first {_MOST} events are drawn." if len(times) > _MOST else "",
        "Time is on a logarithmic axis." if time_axis == "log" else "",
    )
