"""How the loss at every time moves with the problem."""

import numpy as np
from matplotlib.figure import Figure

from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require


def figure(drawing: Drawing) -> Figure:
    """d(loss)/dε against time, a line for each direction.

    **Raises:** `CannotDraw` if the run has no derivatives.
    """
    dataset = drawing.dataset
    require(dataset, ("loss_derivative",))
    values = dataset["loss_derivative"].transpose("time", ...).values.reshape(dataset.sizes["time"], -1)
    looks = style.series(_labels(drawing))
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.6, overlaid=False)
        axes.axhline(0.0, color="#999999", linewidth=0.5)
        for i, (look, column) in enumerate(zip(looks, values.T, strict=True)):
            options = {"color": look.color, "linewidth": 1.2, "marker": look.marker or None, "markeredgewidth": 0}
            axes.plot(dataset["time"].values, column, markevery=(0.05 + 0.16 * i / len(looks), 0.16), **options)
        if np.max(np.abs(values)) > 30 * np.median(np.abs(values)) > 0:
            axes.set_yscale("asinh", linear_width=float(np.max(np.abs(values))) / 8)
        axes.set_ylabel(r"d(training loss)/d$\varepsilon$")
        _frame.finish([axes], drawing.events, drawing.time_axis)
        _frame.legend(drawing, plot, [_frame.handle(look) for look in looks], columns=2)
        return plot


def caption(drawing: Drawing) -> str:
    """What a line is."""
    return _frame.sentences(
        "Derivative of the training loss along the flow by what the legend names; 0 where it would not change.",
        _frame.phase_sentence(drawing.events),
        _frame.scale_sentence(drawing.time_axis),
    )


def _labels(drawing: Drawing) -> list[str]:
    dataset = drawing.dataset
    return [str(x) for x in dataset["direction"].values] if "direction" in dataset.coords else ["derivative"]
