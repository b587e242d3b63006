"""Work against precision: the error of every solver against what it cost."""

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from . import style
from .drawing import Drawing
from .need import CannotDraw


def figure(comparison: xarray.Dataset) -> Figure:
    """Error of the final parameters against vector-field evaluations, both logarithmic, one curve a solver.

    The legend gives each curve's slope: an explicit method of order p falls like evaluations to the power -p where
    accuracy sizes its steps. The grey band is where the reference itself is uncertain.

    **Arguments:** `comparison`: the dataset of a `flowsim.compare.Comparison`.

    **Raises:** `CannotDraw` if no run has an error above zero.
    """
    solvers = list(dict.fromkeys(comparison["solver"].values.tolist()))
    errors, work = comparison["parameter_error"].values, comparison["evaluations"].values
    usable = np.isfinite(errors) & (errors > 0) & (work > 0)
    if not usable.any():
        raise CannotDraw("no run has an error above zero")
    with style.paper():
        plot, (axes,) = Drawing(comparison).panels(height=3.0)
        handles = []
        for i, solver in enumerate(solvers):
            mine = usable & (comparison["solver"].values == solver)
            if not mine.any():
                continue
            done = mine & (comparison["status"].values == "done")
            look = style.spare_look(solver, i)
            order = np.argsort(work[mine])
            line = style.dash(i // 6 - 1) if i >= 6 else "-"
            label = _label(look.label, work, errors, done)
            axes.plot(
                work[mine][order], errors[mine][order], color=look.color, marker=look.marker, mfc="none",
                linestyle=line,
            )  # fmt: skip
            axes.plot(work[done], errors[done], color=look.color, marker=look.marker, linestyle="none")
            handles.append(Line2D([], [], color=look.color, marker=look.marker, linestyle=line, label=label))
        axes.set_xscale("log")
        axes.set_yscale("log")
        if work[usable].max() > 10 * work[usable].min():
            axes.xaxis.set_minor_formatter(NullFormatter())  # labels of less than a decade would run into each other
        if comparison.attrs["reference_error"] > 0:
            axes.axhspan(
                0.1 * comparison.attrs["reference_error"], comparison.attrs["reference_error"], color="#E6E6E6"
            )
        axes.set_xlabel("vector-field evaluations (Hessian-vector product: 2)")
        axes.set_ylabel("error of the final parameters")
        plot.legend(handles=handles, loc="outside lower center", ncols=2)
        return plot


def _label(name: str, work, errors, done) -> str:
    """Name and fitted slope; only the name if there are no two different amounts of work to fit it to."""
    if len(np.unique(work[done])) < 2:
        return name
    return f"{name}, slope {np.polyfit(np.log(work[done]), np.log(errors[done]), 1)[0]:.1f}"


def caption(comparison: xarray.Dataset) -> str:
    """A sentence for below the figure."""
    about, work = comparison.attrs, comparison["evaluations"].attrs.get("long_name", "vector-field evaluations")
    return (
        f"Error of the final parameters at t = {about['t1']:g}, over the distance travelled, against {work}. "
        f"Reference: {about['reference']}, {about['reference_error']:.0e} from {about['check']}. Open "
        "markers: the solver failed. Grey: where the reference itself is uncertain."
    )
