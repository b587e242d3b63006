"""How every sample's weight moves the numbers of a run, by groups."""

from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw

_MOST = 4  # quantities that a page shows
_EDGE = 0.12  # of a group's column, left free on both sides


def figure(drawing: Drawing) -> Figure:
    """A panel for each quantity, in it a column for each group: its samples from the lowest influence to the highest.

    The number above a column is the group's sum: the derivative by a weight that its samples share.

    **Raises:** `CannotDraw` if the run has no influences.
    """
    dataset = drawing.dataset
    if "influence" not in dataset:
        raise CannotDraw("the run has no influence of its samples: list `influence: [loss]` in the experiment")
    values = dataset["influence"]
    if "quantity" not in values.dims:
        values = values.expand_dims(quantity=["value"])
    values = values.transpose("quantity", "sample")[:_MOST]
    columns = _columns(dataset)
    with drawing.settings():
        plot, panels = drawing.panels(len(values), height=0.5 + 1.7 * len(values))
        for axes, row in zip(panels, values, strict=True):
            for place, (look, chosen) in enumerate(columns):
                _draw_column(axes, place, look, row.values[chosen])
            axes.axhline(0.0, color="#999999", linewidth=0.5, zorder=1)
            axes.set_ylabel(f"d({style.plain(row['quantity'].item(), 20)})/d(weight)")
            axes.margins(y=0.18)
            axes.set_xlim(0, len(columns))
            axes.xaxis.set_major_locator(NullLocator())
        panels[-1].set_xlabel("samples of each group, by influence")
        _frame.legend(drawing, plot, [_frame.handle(look, linestyle="none") for look, _ in columns], columns=2)
        return plot


def caption(drawing: Drawing) -> str:
    """What a marker and a number are."""
    left_out = drawing.dataset["influence"].sizes.get("quantity", 1) - _MOST
    return _frame.sentences(
        "Derivative of each quantity by the weight of each training sample, by one adjoint pass through the run's "
        "steps. Above each group: the sum over its samples, the derivative by a weight that they share.",
        f"{left_out} more quantities are in the trajectory." if left_out > 0 else "",
    )


def _draw_column(axes: Axes, place: int, look: style.Look, values: Any) -> None:
    ranked = np.sort(values)
    across = np.linspace(_EDGE, 1 - _EDGE, len(ranked)) if len(ranked) > 1 else np.array([0.5])
    size = float(np.clip(60 / len(ranked), 1.2, 4.0))
    axes.plot(place + across, ranked, look.marker or "o", color=look.color, markersize=size, linestyle="none")
    axes.text(place + 0.5, 0.98, f"{np.sum(values):.3g}", transform=axes.get_xaxis_transform(), ha="center", va="top",
              fontsize=6, color=look.color)  # fmt: skip


def _columns(dataset: xarray.Dataset) -> list[tuple[style.Look, np.ndarray]]:
    """The look of each group and its samples; one group of all where there are none."""
    if "group_of_sample" not in dataset.coords:
        return [(style.Look("all samples", style.BLUE, "o"), np.arange(dataset.sizes["sample"]))]
    groups = dataset["group_of_sample"].values.astype(str)
    names = list(dict.fromkeys([*(name for name in style.GROUPS if name in groups), *groups]))
    return [(style.group_look(name, i), np.flatnonzero(groups == name)) for i, name in enumerate(names)]
