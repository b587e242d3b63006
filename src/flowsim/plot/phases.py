"""A run cut at the saddles that it passed, with the heights of its plateaus."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from . import curves as _curves
from . import frame as _frame
from . import style
from .drawing import Drawing
from .need import CannotDraw, require

_LINE = {"color": "#555555", "linewidth": 0.7, "linestyle": (0, (1, 1.5)), "zorder": 1.2}


def figure(drawing: Drawing) -> Figure:
    """Loss against time; at every saddle its time, the plateau's height and the index.

    **Raises:** `CannotDraw` if no saddle was recorded.
    """
    dataset, time_axis = drawing.dataset, drawing.time_axis
    require(dataset, ("loss",))
    saddles = _saddles(drawing)
    with drawing.settings():
        plot, (axes,) = drawing.panels(height=2.5)
        _frame.set_time_axis([axes], [dataset], time_axis)
        _curves.draw_flow(
            axes, _curves.pick(dataset, "loss"), style.ALL, place=0.0, width=1.7, seeds=drawing.style.seeds
        )
        for phase in saddles:
            axes.axvline(phase["start"], **_LINE)
            axes.hlines(phase["height"], phase["start"], phase["end"], color="#c0392b", linewidth=0.8)
            axes.annotate(f"{phase['height']:.4g}, index {phase['index']}", (phase["start"], phase["height"]),
                          xytext=(3, 4), textcoords="offset points", fontsize=6)  # fmt: skip
        axes.set_ylabel("training loss")
        _frame.finish([axes], drawing.events, time_axis)
        looks = [style.ALL, style.Look("height of a plateau", "#c0392b")]
        _frame.legend(drawing, plot, [_frame.handle(look) for look in looks], columns=2)
        return plot


def caption(drawing: Drawing) -> str:
    """What the lines stand for."""
    return _frame.sentences(
        "Training loss against time. Dotted lines: the minima of the gradient's norm, where the flow is nearest to a "
        "saddle. Each is labelled with the loss there, the plateau's height, and the saddle's index.",
        _frame.scale_sentence(drawing.time_axis),
    )


def _saddles(drawing: Drawing) -> list[Mapping[str, Any]]:
    """The phases that a saddle begins, of the summary or of a result's events."""
    found = getattr(drawing.summary, "phases", None)
    if found is None and isinstance(drawing.summary, Mapping):
        found = drawing.summary.get("phases")
    if not found:
        found = _of_events(drawing)
    phases = [phase if isinstance(phase, Mapping) else vars(phase) for phase in found]
    passed = [phase for phase in phases if phase.get("index")]
    if not passed:
        raise CannotDraw("no saddle was recorded: watch the event saddle")
    return passed


def _of_events(drawing: Drawing) -> list[Mapping[str, Any]]:
    """The same from the events: all crossings of a result's, the first of a summary's."""
    found = []
    for record in drawing.events.values():
        if isinstance(record, Mapping):
            found.append((record.get("time"), record))
        found += [(crossing.time, crossing.values) for crossing in getattr(record, "crossings", ())]
    passed = [(time, values) for time, values in found if time is not None and values.get("index", 0) > 0]
    if not passed:
        return []
    ends = [*(time for time, _ in passed[1:]), float(drawing.dataset["time"].values[-1])]
    return [
        {"start": time, "end": end, "height": values["loss"], "index": int(values["index"])}
        for (time, values), end in zip(passed, ends, strict=True)
    ]
