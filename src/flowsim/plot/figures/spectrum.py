"""The Hessian's spectrum over time, as a heat map with its extreme eigenvalues."""

import numpy as np
import xarray
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import CannotDraw, require

_ROWS = 240  # of the heat map
_WIDTH = 0.012  # of the smoothing kernel, of the map's height
_EXTREME, _BULK = style.Look("extreme eigenvalues", "#c0392b"), style.Look("density", "#777777")
_DARKEST = 0.98  # quantile of the positive density that is drawn darkest


def figure(drawing: Drawing) -> Figure:
    """Curvature against time: the spectral density (`hessian_density`) in grey, the extreme eigenvalues as lines.

    The curvature's axis is linear near 0 and logarithmic beyond (asinh), as the bulk lies near 0.

    **Raises:** `CannotDraw` if the trajectory holds neither.
    """
    dataset = drawing.dataset
    require(dataset, ())
    if "hessian_spectrum" not in dataset and "hessian_density" not in dataset:
        raise CannotDraw("the trajectory has no hessian_spectrum: ask for the probe hessian_spectrum")
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.8, overlaid=False)
        linear = _linear_width(dataset)
        axes.set_yscale("asinh", linear_width=linear)
        if "hessian_density" in dataset:
            _draw_density(axes, dataset, linear)
        if "hessian_spectrum" in dataset:
            values = dataset["hessian_spectrum"].values
            axes.plot(dataset["time"].values, values, color=_EXTREME.color, linewidth=0.6, alpha=0.8)
        axes.set_ylabel("eigenvalue of the Hessian")
        _frame.finish([axes], drawing.events, drawing.time_axis)
        looks = [_EXTREME] * ("hessian_spectrum" in dataset) + [_BULK] * ("hessian_density" in dataset)
        _frame.legend(drawing, plot, [_frame.handle(look) for look in looks], columns=2)
        return plot


def caption(drawing: Drawing) -> str:
    """What grey and red are."""
    dataset = drawing.dataset
    density = "Grey: density of the Hessian's spectrum by stochastic Lanczos quadrature, smoothed." * (
        "hessian_density" in dataset
    )
    lines = "Red: its lowest and largest eigenvalues." * ("hessian_spectrum" in dataset)
    return _frame.sentences(
        "Curvature of the training loss along the flow, on a scale that is linear near 0.", density, lines,
        _frame.scale_sentence(drawing.time_axis),
    )  # fmt: skip


def _linear_width(dataset: xarray.Dataset) -> float:
    """Where the axis turns from linear to logarithmic: a twentieth of the largest curvature."""
    sizes = [float(np.max(np.abs(values))) for values in _curvatures(dataset)]
    return max(max(sizes) / 20, np.finfo(float).tiny)


def _curvatures(dataset: xarray.Dataset) -> list[np.ndarray]:
    found = [dataset["hessian_spectrum"].values] if "hessian_spectrum" in dataset else []
    if "hessian_density" in dataset:
        found.append(dataset["hessian_density"].sel(rule="node").values)
    return found


def _draw_density(axes: Axes, dataset: xarray.Dataset, linear: float) -> None:
    """The quadrature's weights, smoothed on the axis' own scale."""
    rule = dataset["hessian_density"]
    nodes = np.arcsinh(rule.sel(rule="node").values / linear)
    weights = rule.sel(rule="weight").values
    nodes, weights = (x.reshape(len(x), -1) for x in (nodes, weights))
    low, high = float(nodes.min()), float(nodes.max())
    margin = 0.03 * max(high - low, 1e-12)
    grid = np.linspace(low - margin, high + margin, _ROWS)
    density = _smoothed(nodes, weights, grid, _WIDTH * (grid[-1] - grid[0]))
    shown = np.sqrt(density)  # a bulk of flat directions would leave the rest white
    positive = shown[shown > 1e-3 * shown.max()]
    axes.pcolormesh(dataset["time"].values, linear * np.sinh(grid), shown.T, cmap="Greys", shading="nearest",
                    vmin=0, vmax=np.quantile(positive, _DARKEST), rasterized=True)  # fmt: skip


def _smoothed(
    nodes: Float[np.ndarray, "time nodes"],
    weights: Float[np.ndarray, "time nodes"],
    grid: Float[np.ndarray, "rows"],
    width: float,
) -> Float[np.ndarray, "time rows"]:
    kernel = np.exp(-(((grid - nodes[..., None]) / width) ** 2) / 2)
    return np.einsum("tn,tnr->tr", weights, kernel)
