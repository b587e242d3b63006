"""A transformer head by head and block by block, or a linear network mode by mode."""

import xarray
from matplotlib.figure import Figure

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw, require

_PANELS = {  # variable -> axis, what a line is, label, sentence
    "attention_entropy": ("head", "head", "attention entropy (nat)", "Entropy of each head's attention over the keys"),
    "effective_rank": ("head", "head", r"effective rank of $W_K^{\top} W_Q$", "Effective rank of each head's scores"),
    "block_norm": ("block", "block", "norm of the block", "Norm of all parameters of each block"),
    "singular_values": ("mode", "mode", "singular value", "Singular values of the product of all matrices"),
}
_MOST = 12  # lines that a panel's legend can name


def figure(drawing: Drawing) -> Figure:
    """A panel for each of attention entropy, effective rank, norms and singular values that the trajectory holds.

    **Raises:** `CannotDraw` if the trajectory holds none of them.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    require(dataset, ())
    names = _there(dataset)
    if not names:
        raise CannotDraw("the trajectory has no heads, blocks or modes")
    with drawing.settings():
        width = style.COLUMN if len(names) == 1 else style.PAGE
        plot, panels = _frame.over_time(drawing, 1, len(names), width=width, height=2.6)
        for axes, name in zip(panels, names, strict=True):
            _draw_panel(axes, drawing, name)
        _frame.finish(panels, drawing.events, drawing.time_axis, _frame.time_label(overlays))
        for axes in panels:
            axes.set_xlabel("time $t$")
        for axes, name in zip(panels, names, strict=True):
            if _PANELS[name][0] != _PANELS[names[0]][0]:  # other lines than the legend below names, in like colors
                handles = [_frame.handle(look) for look in _looks(dataset, name)]
                axes.legend(handles=handles, loc="best", fontsize=6)
        handles = [_frame.handle(look) for look in _looks(dataset, names[0])]
        _frame.legend(drawing, plot, [*handles, *_frame.overlay_handles(overlays)], columns=4)
        return plot


def _there(dataset: xarray.Dataset) -> list[str]:
    return [name for name in _PANELS if name in dataset]


def _looks(dataset: xarray.Dataset, name: str) -> list[style.Look]:
    axis, what, *_ = _PANELS[name]
    return style.series([f"{what} {label}" for label in dataset[axis].values[:_MOST]])


def _draw_panel(axes, drawing: Drawing, name: str) -> None:
    dataset, overlays = drawing.dataset, drawing.overlays
    axis, _, label, _ = _PANELS[name]
    looks, places = _looks(dataset, name), dataset[axis].values[:_MOST]
    for i, (look, place) in enumerate(zip(looks, places, strict=True)):
        _curves.draw_flow(
            axes, _curves.pick(dataset, name, {axis: place}), look, place=i / len(looks), seeds=drawing.style.seeds
        )
    descents = [
        (_curves.pick(run, name, {axis: place}), look, index)
        for index, run in _curves.holding(name, overlays)
        for look, place in zip(looks, places, strict=True)
    ]
    _curves.draw_descent(axes, descents)
    axes.set_ylabel(label)
    axes.ticklabel_format(axis="y", useOffset=False)


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset, overlays = drawing.dataset, drawing.overlays
    names = _there(dataset)
    more = any(dataset.sizes[_PANELS[name][0]] > _MOST for name in names)
    return _frame.sentences(
        "; ".join(_PANELS[name][3] for name in names) + ", against time of the flow.",
        "Head 2.1 is the first head of the second layer." if "head" in dataset.dims else "",
        f"The first {_MOST} of each are drawn." if more else "",
        _frame.phase_sentence(drawing.events),
        _frame.scale_sentence(drawing.time_axis),
        _frame.overlay_sentence(overlays, names[0]) if names else "",
    )
