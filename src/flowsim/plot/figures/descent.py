"""How far an optimizer's steps are from the flow: along the run, against the edge of stability, and against η."""

from collections.abc import Sequence

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw

_COLORS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE)
_LARGEST = 1e2  # of a relative distance: beyond it descent has nothing to do with the flow
_LEVEL = {"color": "#555555", "linewidth": 0.8, "linestyle": (0, (2, 1.5)), "zorder": 1.5}


def figure(drawing: Drawing) -> Figure:
    """Relative distance to the flow against time, for each run of descent, with the tube's radius; learning rate ×
    sharpness against time, with the edge of stability; and the final distance against η, with the fitted slope.

    A panel for which there is nothing is left out.

    **Raises:** `CannotDraw` if no run has a distance to the flow.
    """
    overlays, time_axis = drawing.overlays, drawing.time_axis
    runs = _runs(overlays)
    if not runs:
        raise CannotDraw("no run of descent was compared with the flow")
    edge, groups = [run for run in runs if "stability" in run], _groups(runs)
    slopes = {name: group for name, group in groups.items() if len(_ends(group)[0]) > 1}
    number = 1 + bool(edge) + bool(slopes)
    with drawing.settings():
        width = style.COLUMN if number == 1 else style.PAGE
        plot, panels = drawing.panels(1, number, width=width, height=2.7, share=False)
        _along(panels[0], runs, time_axis)
        if edge:
            _stability(panels[1], runs, time_axis)
        if slopes:
            _against_rate(panels[-1], slopes)
        _frame.legend(drawing, plot, _handles(runs), columns=1 if number == 1 else 3)
        return plot


def _runs(overlays: Sequence[xarray.Dataset]) -> list[xarray.Dataset]:
    return [run for run in overlays if "flow_distance" in run and run.sizes["distance_time"] > 1]


def _groups(runs: Sequence[xarray.Dataset]) -> dict[tuple[str, str], list[xarray.Dataset]]:
    """Runs of one optimizer against one flow."""
    found: dict[tuple[str, str], list[xarray.Dataset]] = {}
    for run in runs:
        found.setdefault((run.attrs["optimizer"], run.attrs["against"]), []).append(run)
    return found


def _look(run: xarray.Dataset, runs: Sequence[xarray.Dataset]) -> dict:
    """A color for each learning rate, and a line style for each optimizer and flow."""
    rates = sorted({r.attrs["learning_rate"] for r in runs}, reverse=True)
    group = list(_groups(runs)).index((run.attrs["optimizer"], run.attrs["against"]))
    color = _COLORS[rates.index(run.attrs["learning_rate"]) % len(_COLORS)]
    return {"color": color, "linestyle": "-" if group == 0 else style.dash(group - 1)}


def _along(axes: Axes, runs: Sequence[xarray.Dataset], time_axis: str) -> None:
    axes.set(xscale=time_axis, yscale="log", xlabel="time $t$", ylabel="distance to the flow")
    for run in runs:
        time, distance = run["distance_time"].values, run["flow_distance"].values
        shown = np.where(distance > 0, np.minimum(distance, 10 * _LARGEST), np.nan)
        axes.plot(time, shown, linewidth=1.1, **_look(run, runs))
        beyond = _beyond(run)
        if beyond is not None:
            marked = np.interp(time, run["edge_time"].values, beyond.astype(float)) > 0.5
            axes.plot(time[marked], shown[marked], "x", color=_look(run, runs)["color"], markersize=3.2)
    for tube in sorted({run.attrs["tube"] for run in runs}):
        axes.axhline(tube, **_LEVEL)
    axes.set_ylim(top=min(axes.get_ylim()[1], _LARGEST))
    axes.set_title("along the run", loc="left")


def _beyond(run: xarray.Dataset) -> np.ndarray | None:
    """Where the run is beyond the edge of stability; None where that is not known."""
    if "stability" not in run or "edge_limit" not in run.attrs:
        return None
    return run["stability"].values > run.attrs["edge_limit"]


def _stability(axes: Axes, runs: Sequence[xarray.Dataset], time_axis: str) -> None:
    axes.set(xscale=time_axis, yscale="log", xlabel="time $t$", ylabel=r"learning rate $\times$ sharpness")
    for run in runs:
        if "stability" in run:
            values = run["stability"].values
            axes.plot(run["edge_time"].values, np.where(values > 0, values, np.nan), linewidth=1.1, **_look(run, runs))
    for limit in sorted({run.attrs["edge_limit"] for run in runs if "edge_limit" in run.attrs}):
        axes.axhline(limit, **_LEVEL)
    axes.set_title("edge of stability", loc="left")


def _ends(group: Sequence[xarray.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """η and final distance, of those that have one and end with the others; nothing if they end at different times."""
    kept = sorted(
        (r.attrs["learning_rate"], r.attrs["final_distance"]) for r in group if r.attrs.get("final_distance", 0) > 0
    )
    ends = [r.attrs["end"] for r in group]
    if len({rate for rate, _ in kept}) < 2 or max(ends) > min(ends) * (1 + 1e-6):
        return np.zeros(0), np.zeros(0)
    rates, distances = np.array(kept).T
    return rates, distances


def _against_rate(axes: Axes, groups: dict[tuple[str, str], list[xarray.Dataset]]) -> None:
    axes.set(xscale="log", yscale="log", xlabel=r"learning rate $\eta$", ylabel="distance at the end")
    several = len({against for _, against in groups}) > 1
    for index, ((optimizer, against), group) in enumerate(groups.items()):
        rates, distances = _ends(group)
        slope, offset = np.polyfit(np.log(rates), np.log(distances), 1)
        marker = "os^Dv"[index % 5]
        label = f"{style.plain(against if several else optimizer)}: slope {slope:.2f}"
        axes.plot(rates, distances, marker, color=style.BLACK, mfc="none" if index else style.BLACK, label=label)
        axes.plot(rates, np.exp(offset) * rates**slope, color=style.GREY, linewidth=0.8, zorder=1.5)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="best", handlelength=1.0)
    axes.set_title("order", loc="left")


def _handles(runs: Sequence[xarray.Dataset]) -> list[Line2D]:
    several = len(_groups(runs)) > 1

    def label(run):
        name = f"{run.attrs['optimizer']}, " if several else ""
        return style.plain(f"{name}η = {run.attrs['learning_rate']:g}, {run.attrs['against']}")

    lines = [Line2D([], [], label=label(run), linewidth=1.1, **_look(run, runs)) for run in runs]
    crossed = [Line2D([], [], color=style.BLACK, marker="x", linestyle="none", label="beyond the edge of stability")]
    level = [Line2D([], [], label="tube; edge" if any("stability" in r for r in runs) else "tube",
                    **{k: v for k, v in _LEVEL.items() if k != "zorder"})]  # fmt: skip
    return lines + level + (crossed if any(np.any(_beyond(run)) for run in runs if _beyond(run) is not None) else [])


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    overlays = drawing.overlays
    runs = _runs(overlays)
    tubes = ", ".join(f"{tube:g}" for tube in sorted({run.attrs["tube"] for run in runs}))
    beyond = any(np.any(b) for b in map(_beyond, runs) if b is not None)
    return _frame.sentences(
        "Distance of an optimizer's steps from the flow at the same time, over the distance that the flow "
        f"travels. Time of a step is {_frame.clock(runs)}. Broken line: the tube of {tubes}.",
        "Edge of stability: learning rate × sharpness of the risk along descent; broken line: above it descent on a "
        "quadratic diverges." if any("stability" in run for run in runs) else "",
        "Crosses mark the times beyond it." if beyond else "",
        "Right: the distance at the end against the learning rate, with the least-squares slope."
        if any(len(_ends(group)[0]) for group in _groups(runs).values())
        else "",
    )  # fmt: skip
