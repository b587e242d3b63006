"""Figures of a sweep: a curve with bands over one axis, a heat map with contours over two."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from .._values import brief
from . import style
from .drawing import Drawing
from .need import CannotDraw

SEED = "seed"
_PANELS = 6  # points of a third axis that are drawn
_BAND = (0.1, 0.9)
_FEW = 9  # points of an axis whose values are written at its ticks
_WIDE = 5  # of them that fit side by side


@dataclasses.dataclass(frozen=True)
class SweepFigure:
    """**Fields:** `name`: of the file; `caption`: what is drawn, and of which members."""

    name: str
    figure: Figure
    caption: str


def draw_sweep(dataset: xarray.Dataset, quantity: str, laws: Sequence[str] = ()) -> SweepFigure:
    """The figure of one quantity: a variable of the axes alone, `event_time.NAME`, or the ratio `a/b` of two.

    **Arguments:** `laws`: sentences about its power laws, for the caption.

    **Raises:** `CannotDraw` if no member has it, or no axis has two points.
    """
    values = quantity_of(dataset, quantity)
    over = [str(dim) for dim in values.dims if dim != SEED and values.sizes[dim] > 1]
    seeds = values.sizes.get(SEED, 1)
    if not np.isfinite(values.values).any():
        raise CannotDraw(f"no member has {quantity}")
    if not over:
        raise CannotDraw("no axis but the seeds has two points")
    values = values.squeeze([dim for dim in values.dims if dim != SEED and values.sizes[dim] == 1], drop=True)
    with style.paper():
        if len(over) == 1:
            drawn, said = _curve(dataset, values, over[0], quantity), _curve_caption(quantity, over[0], seeds)
        else:
            values, panels, left = _reduced(values, over)
            drawn, said = _maps(dataset, values, over, panels, quantity), _map_caption(quantity, over, seeds, left)
    return SweepFigure(quantity.replace(".", "_").replace("/", "_over_"), drawn, " ".join([said, *laws]))


def quantity_of(dataset: xarray.Dataset, quantity: str) -> xarray.DataArray:
    """The values of a quantity on the axes, or of the ratio `a/b`. **Raises:** `CannotDraw` for a name that is none."""
    above, _, below = quantity.partition("/")
    if below:
        return quantity_of(dataset, above) / quantity_of(dataset, below)
    name, _, event = quantity.partition(".")
    if event and name in dataset and "event" in dataset[name].dims and event in dataset["event"].values:
        return dataset[name].sel(event=event, drop=True)
    if quantity in dataset.data_vars and dataset[quantity].dtype.kind in "fi" and "time" not in dataset[quantity].dims:
        return dataset[quantity]
    raise CannotDraw(f"the sweep has no quantity {quantity}; it has {', '.join(quantities(dataset))}")


def quantities(dataset: xarray.Dataset) -> list[str]:
    """Everything that can be drawn."""
    events = [f"event_time.{name}" for name in dataset["event"].values] if "event" in dataset.coords else []
    axes = set(dataset["status"].dims)
    scalars = [str(n) for n, v in dataset.data_vars.items() if set(v.dims) == axes and v.dtype.kind in "fi"]
    return [*events, *scalars]


def _reduced(values: xarray.DataArray, over: list[str]) -> tuple[xarray.DataArray, str | None, str]:
    """Values over two axes, or three with panels over the shortest; further axes at their middle point.

    `over` is left with the two axes of the maps, the second along x.
    """
    ordered = sorted(over, key=lambda dim: values.sizes[dim], reverse=True)
    panels = ordered[2] if len(ordered) > 2 else None
    left = []
    for dim in ordered[3:]:
        middle = values.sizes[dim] // 2
        left.append(f"{dim} = {brief(values[dim].values[middle], 4)}")
        values = values.isel({dim: middle}, drop=True)
    if panels is not None:
        values = values.isel({panels: slice(_PANELS)})
    over[:] = sorted(ordered[:2], key=over.index)
    return values, panels, ", ".join(left)


def _median(values: xarray.DataArray) -> xarray.DataArray:
    """Over the seeds that have a number."""
    if SEED not in values.dims:
        return values
    some = np.isfinite(values).any(SEED)
    return values.where(some, 0.0).median(SEED, skipna=True).where(some)


def _curve(dataset: xarray.Dataset, values: xarray.DataArray, axis: str, quantity: str) -> Figure:
    plot, (axes,) = Drawing(dataset).panels(height=2.3)
    x = _positions(axes, dataset[axis].values, axis, "x")
    middle = _median(values).values
    if SEED in values.dims and values.sizes[SEED] > 1:
        some = np.isfinite(values).any(SEED)
        low, high = (values.where(some, 0.0).quantile(q, SEED, skipna=True).where(some).values for q in _BAND)
        axes.fill_between(x, low, high, color=style.BLUE, alpha=0.22, linewidth=0)
    axes.plot(x, middle, color=style.BLUE, marker="o", markeredgewidth=0)
    if _logarithmic(values.values):
        axes.set_yscale("log")
    axes.set_ylabel(style.plain(_words(quantity)))
    return plot


def _maps(
    dataset: xarray.Dataset, values: xarray.DataArray, over: Sequence[str], panels: str | None, quantity: str
) -> Figure:
    y_axis, x_axis = over
    middle = _median(values)
    finite = middle.values[np.isfinite(middle.values)]
    norm = LogNorm if _logarithmic(finite) else Normalize
    scale = norm(float(finite.min()), float(finite.max()))
    points = [None] if panels is None else list(middle[panels].values)
    columns = min(len(points), 3)
    rows = -(-len(points) // columns)
    width = style.COLUMN if len(points) == 1 else style.PAGE
    plot, places = Drawing(dataset).panels(rows, columns, width=width, height=2.5 * rows, share=False)
    image = None
    for axes, point in zip(places, points, strict=False):
        here = middle if point is None else middle.sel({panels: point})
        image = _map(axes, dataset, here.transpose(y_axis, x_axis).values, (x_axis, y_axis), scale)
        if point is not None:
            axes.set_title(style.plain(f"{panels} = {brief(point, 4)}"), loc="left")
    for axes in places[len(points) :]:
        axes.set_axis_off()
    plot.colorbar(image, ax=places, label=style.plain(_words(quantity)), shrink=0.9)
    return plot


def _map(axes: Axes, dataset: xarray.Dataset, table: np.ndarray, names: tuple[str, str], scale: Normalize):
    x = _positions(axes, dataset[names[0]].values, names[0], "x")
    y = _positions(axes, dataset[names[1]].values, names[1], "y")
    image = axes.pcolormesh(_edges(axes, x, "x"), _edges(axes, y, "y"), table, cmap="viridis", norm=scale)
    if min(table.shape) > 1 and np.isfinite(table).sum() > 3 and np.nanmin(table) < np.nanmax(table):
        levels = scale.inverse(np.linspace(0, 1, 7)[1:-1])
        lines = axes.contour(x, y, np.ma.masked_invalid(table), levels=levels, colors="white", linewidths=0.7)
        axes.clabel(lines, fmt=lambda level: f"{level:.2g}", fontsize=6)
    return image


def _positions(axes: Axes, values: np.ndarray, name: str, which: str) -> np.ndarray:
    """Where the points of an axis are drawn: at their numbers, or one after the other if they are not numbers."""
    getattr(axes, f"set_{which}label")(style.plain(name))
    number = values.dtype.kind in "fi" and np.isfinite(values).all()
    if not number:
        getattr(axes, f"set_{which}ticks")(range(len(values)), [style.plain(v, 14) for v in values])
        return np.arange(len(values), dtype=float)
    if _logarithmic(values):
        getattr(axes, f"set_{which}scale")("log")
        if len(values) <= _FEW:
            axis = getattr(axes, f"{which}axis")
            every = 2 if which == "x" and len(values) > _WIDE else 1  # labels side by side need more room
            axis.set_major_locator(FixedLocator(list(map(float, values[::every]))))
            axis.set_major_formatter(lambda value, _: f"{value:.4g}" if 1 <= value < 1e4 else f"{value:.2g}")
            axis.set_minor_formatter(NullFormatter())
            axis.set_minor_locator(FixedLocator([]))
    return values.astype(float)


def _edges(axes: Axes, centers: np.ndarray, which: str) -> np.ndarray:
    """Borders between the cells of a map, half way on the axis's own scale."""
    log = getattr(axes, f"get_{which}scale")() == "log"
    at = np.log(centers) if log else centers
    steps = np.diff(at) if len(at) > 1 else np.ones(1)
    middle = at[:-1] + steps / 2
    edges = np.concatenate([[at[0] - steps[0] / 2], middle, [at[-1] + steps[-1] / 2]])
    return np.exp(edges) if log else edges


def _logarithmic(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return finite.size > 1 and bool(finite.min() > 0) and finite.max() / finite.min() > 5


def _words(quantity: str) -> str:
    above, _, below = quantity.partition("/")
    if below:
        return f"{_words(above)} / {_words(below)}"
    name, _, event = quantity.partition(".")
    return f"time of {event}" if event else name.replace("final_", "final ").replace("_", " ")


def _curve_caption(quantity: str, axis: str, seeds: int) -> str:
    band = f": median over {seeds} seeds, band from the 10th to the 90th percentile" if seeds > 1 else ""
    return f"{_words(quantity).capitalize()} against {axis}{band}."


def _map_caption(quantity: str, over: Sequence[str], seeds: int, left: str) -> str:
    median = f", median over {seeds} seeds" if seeds > 1 else ""
    fixed = f" At {left}." if left else ""
    what = _words(quantity).capitalize()
    return f"{what}{median}, over {over[1]} and {over[0]}, with contours. White: no member has it.{fixed}"
