"""A run cut at the saddles that it passed, with the heights of its plateaus."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ...events import phases
from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw, require

_LINE = {"color": "#555555", "linewidth": 0.7, "linestyle": (0, (1, 1.5)), "zorder": 1.2}


def figure(drawing: Drawing) -> Figure:
    """Loss against time; at every saddle its time, the plateau's height and the index.

    **Raises:** `CannotDraw` if no saddle was recorded.
    """
    dataset = drawing.dataset
    require(dataset, ("loss",))
    saddles = _saddles(drawing)
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.5, overlaid=False)
        _curves.draw_flow(
            axes, _curves.pick(dataset, "loss"), style.ALL, place=0.0, width=1.7, seeds=drawing.style.seeds
        )
        for phase in saddles:
            axes.axvline(phase["start"], **_LINE)
            axes.hlines(phase["height"], phase["start"], phase["end"], color="#c0392b", linewidth=0.8)
            axes.annotate(f"{phase['height']:.4g}, index {phase['index']}", (phase["start"], phase["height"]),
                          xytext=(3, 4), textcoords="offset points", fontsize=6)  # fmt: skip
        axes.set_ylabel("training loss")
        _frame.finish([axes], drawing.events, drawing.time_axis)
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
    known = [phase if isinstance(phase, Mapping) else vars(phase) for phase in found]
    passed = [phase for phase in known if phase.get("index") is not None]
    if not passed:
        raise CannotDraw("no saddle was recorded: watch the event saddle")
    return passed


def _of_events(drawing: Drawing) -> list[Any]:
    """The same from the events: of a result's from all crossings, of a summary's from the first."""
    times, losses = drawing.dataset["time"].values, drawing.dataset["loss"].values
    end, found = float(times[-1]), []
    for record in drawing.events.values():
        crossings = [c for c in getattr(record, "crossings", ()) if "height_error" in c.values]
        if crossings:
            found += phases(crossings, loss=float(losses[0]), end=end, final=float(losses[-1]))
        elif isinstance(record, Mapping) and record.get("time") is not None and record.get("index", 0) > 0:
            found.append({"start": record["time"], "end": end, "height": record["loss"], "index": int(record["index"])})
    return found
