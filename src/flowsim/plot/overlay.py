"""One probe of several runs over each other, with their error bands."""

from collections.abc import Mapping

import xarray
from matplotlib.figure import Figure

from . import curves as _curves
from . import frame as _frame
from . import style
from .drawing import Drawing
from .need import CannotDraw


def figure(runs: Mapping[str, xarray.Dataset], name: str) -> Figure:
    """The probe `name` of each run against time, a color and a legend entry for each run.

    **Arguments:** `runs`: label -> dataset as `trajectory.nc`; `name`: a probe with no axis but time (and seed).

    **Raises:** `CannotDraw` if no run holds it.
    """
    held = {label: run for label, run in runs.items() if name in run}
    if not held:
        raise CannotDraw(f"no run has {name}")
    first = Drawing(next(iter(held.values())))
    with first.settings():
        plot, (axes,) = first.panels(height=2.5)
        _frame.set_time_axis([axes], list(held.values()), first.time_axis)
        curves = [_curves.pick(run, name) for run in held.values()]
        if all((curve.middle >= 0).all() for curve in curves) and _curves.spans_decades(curves):
            axes.set_yscale("log")
        looks = style.series(list(held))
        for i, (curve, look) in enumerate(zip(curves, looks, strict=True)):
            _curves.draw_flow(axes, curve, look, place=i / len(curves), width=1.1)
        axes.set_ylabel(style.plain(name.replace("_", " ")))
        _frame.finish([axes], {}, first.time_axis)
        _frame.legend(first, plot, [_frame.handle(look) for look in looks], columns=2)
        return plot
