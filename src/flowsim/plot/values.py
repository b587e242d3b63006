"""Any saved probe against time: a line for each of its entries, with error bands."""

import functools
import itertools
from typing import Any

import xarray
from matplotlib.figure import Figure

from . import curves as _curves
from . import frame as _frame
from . import style
from .drawing import Drawing
from .need import require
from .registry import Kind

_MOST = 12  # lines that a legend can name
_BESIDE = ("time", "seed")  # no entries: what lines run along, and what the median is taken over


def kind(name: str) -> Kind:
    """The figure of the probe `name`."""
    return Kind(functools.partial(figure, name=name), functools.partial(caption, name=name))


def figure(drawing: Drawing, *, name: str) -> Figure:
    """The probe against time, a line for each entry (the first 12), on a log axis where it spans decades.

    **Raises:** `CannotDraw` if the trajectory does not hold it, or there are not two times to join.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    require(dataset, [name])
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.5)
        entries = _entries(dataset[name])[:_MOST]
        looks = style.series([label for label, _ in entries])
        if len(entries) == 1:
            looks = [style.ALL]
        curves = [_curves.pick(dataset, name, where) for _, where in entries]
        if all((curve.middle >= 0).all() for curve in curves) and _curves.spans_decades(curves):
            axes.set_yscale("log")
        for i, (curve, look) in enumerate(zip(curves, looks, strict=True)):
            _curves.draw_flow(axes, curve, look, place=i / len(curves), seeds=drawing.style.seeds)
        _curves.draw_descent(
            axes,
            [
                (_curves.pick(run, name, where), look, index)
                for index, run in _curves.holding(name, overlays)
                for (_, where), look in zip(entries, looks, strict=True)
            ],
        )
        axes.set_ylabel(style.plain(_title(dataset[name])))
        _frame.finish([axes], drawing.events, drawing.time_axis, _frame.time_label(overlays))
        handles = [*map(_frame.handle, looks if len(entries) > 1 else []), *_frame.overlay_handles(overlays)]
        if handles:
            _frame.legend(drawing, plot, handles, columns=4)
        return plot


def _entries(values: xarray.DataArray) -> list[tuple[str, dict]]:
    """(label, where) of every entry, in order."""
    dims = [dim for dim in values.dims if dim not in _BESIDE]
    places = itertools.product(*(values[dim].values.tolist() for dim in dims))
    found = [(dict(zip(dims, place, strict=True))) for place in places]
    return [(_label(values.name, where), where) for where in found]


def _label(name: Any, where: dict) -> str:
    """An entry as a reader names it: w[0, 1] where the axes have no names of their own."""
    if where and all(str(dim).startswith(f"{name}_axis_") for dim in where):
        return f"{name}[{', '.join(map(str, where.values()))}]"
    return ", ".join(f"{dim} {label}" for dim, label in where.items()) or str(name)


def _title(values: xarray.DataArray) -> str:
    units = str(values.attrs.get("units", "1"))
    name = str(values.attrs.get("long_name") or values.name)
    return name if units in ("1", "") else f"{name} ({units})"


def caption(drawing: Drawing, *, name: str) -> str:
    """A sentence or more that let the figure stand alone."""
    values = drawing.dataset[name]
    count = len(_entries(values))
    return _frame.sentences(
        f"{_title(values)} against time of the flow.",
        f"The first {_MOST} of {count} entries are drawn." if count > _MOST else "",
        _frame.closing_sentences(drawing, name),
    )
