"""The training loss and the loss of each group of samples (the paper's Figure 1b)."""

from collections.abc import Sequence

import xarray
from matplotlib.figure import Figure

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require

NEEDS = ("loss",)
_CROWD = 2  # runs of descent beyond which a line for each group of each run could not be told apart


def figure(drawing: Drawing) -> Figure:
    """Loss against time: total, and of every group where the samples have groups; a log axis where it spans decades.

    **Raises:** `CannotDraw` if `loss` is missing or there are not two times to join.

    **Reference:** Yang et al. 2024, Figure 1b.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    seeds = drawing.style.seeds
    require(dataset, NEEDS)
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.5)
        groups = _groups(dataset)
        curves = [_curves.pick(dataset, "loss")]
        curves += [_curves.pick(dataset, "loss_by_group", {"group": name}) for name in groups]
        if _curves.spans_decades(curves):
            axes.set_yscale("log")
        looks = [style.ALL, *(style.group_look(name, i) for i, name in enumerate(groups))]
        for i, (curve, look) in enumerate(zip(curves, looks, strict=True)):
            _curves.draw_flow(axes, curve, look, place=i / len(curves), width=1.7 if i == 0 else 1.2, seeds=seeds)
        _curves.draw_descent(axes, _descent(overlays, groups, looks), darken=len(overlays) <= _CROWD)
        axes.set_ylabel("training loss")
        _frame.finish([axes], drawing.events, drawing.time_axis, _frame.time_label(overlays))
        handles = [*map(_frame.handle, looks), *_frame.overlay_handles(overlays, _colors(overlays))]
        if len(handles) > 1:
            _frame.legend(drawing, plot, handles, columns=3 if not overlays else 2)
        return plot


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset, overlays = drawing.dataset, drawing.overlays
    what = "Training loss against time of the flow."
    if _groups(dataset):
        what = "Training loss (black) and the mean loss of each group of samples (colors) against time of the flow."
    return _frame.sentences(
        what,
        _frame.closing_sentences(drawing, "loss"),
        "Of these runs the loss of all samples is drawn." if len(overlays) > _CROWD and _groups(dataset) else "",
    )


def _colors(overlays: Sequence[xarray.Dataset]) -> list[str]:
    """A color for each run of descent where there are many; none where their lines take those of the groups."""
    names = [str(index) for index in range(len(overlays))]
    return [look.color for look in style.series(names)] if len(overlays) > _CROWD else []


def _descent(overlays: Sequence[xarray.Dataset], groups: list[str], looks: list[style.Look]) -> list:
    """What is drawn of descent, (curve, look, number of the run): of many runs the loss of all samples alone."""
    colors = _colors(overlays)
    totals = [
        (_curves.pick(run, "loss"), style.Look("", colors[index]) if colors else style.ALL, index)
        for index, run in _curves.holding("loss", overlays)
    ]
    if colors:
        return totals
    return totals + [
        (_curves.pick(run, "loss_by_group", {"group": name}), look, index)
        for index, run in _curves.holding("loss_by_group", overlays)
        for name, look in zip(groups, looks[1:], strict=True)
    ]


def _groups(dataset: xarray.Dataset) -> list[str]:
    """The names of the groups; an empty group has loss 0 at all times and is left out."""
    if "loss_by_group" not in dataset:
        return []
    values = dataset["loss_by_group"]
    used = (values != 0).any([dim for dim in values.dims if dim != "group"]).values
    return [name for name, there in zip(values["group"].values, used, strict=True) if there]
