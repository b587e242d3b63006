"""Attention maps over time: a film strip for paper, and an animation for the screen."""

import math
import pathlib
import tempfile

import numpy as np
import xarray
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require

_NAME = "attention_map"
_MOST = 8  # heads
_COLUMNS = 6  # times in the strip
_FRAMES, _PER_SECOND, _HELD = 24, 5, 5  # of the animation: how many, how fast, how long the last one stays
_SCREEN = 110  # dots per inch of the animation
_ONE_SIGN = LinearSegmentedColormap.from_list("attention", ["#FFFFFF", "#9CC9E3", style.BLUE, "#002B45"])
_TWO_SIGNS = LinearSegmentedColormap.from_list("signed", ["#7A3000", style.VERMILION, "#FFFFFF", style.BLUE, "#002B45"])


def figure(drawing: Drawing) -> Figure:
    """A film strip: a row for each head, a column for each of a few saved times, queries down and keys across.

    The first and the last saved time are among the columns; the times between them cut the path of the maps into
    parts of equal length, so that the strip shows where they move, however long they rest.

    **Raises:** `CannotDraw` if the trajectory holds no `attention_map` (see `flowsim.probes.attention_map`).
    """
    dataset = drawing.dataset
    require(dataset, [_NAME])
    maps = _maps(dataset)
    columns = _turning_points(maps.values, _COLUMNS)
    with drawing.settings():
        side = (style.PAGE - 1.0) / max(len(columns), 4)
        plot = drawing.whole(0.75 + side * len(columns) + 0.55, 0.65 + (side + 0.06) * len(maps))
        panels = plot.subplots(len(maps), len(columns), sharex=True, sharey=True, squeeze=False)
        drawn = [
            [_draw(panel, maps[row, column], maps) for panel, column in zip(panels[row], columns, strict=True)]
            for row in range(len(maps))
        ]
        for panel, column in zip(panels[0], columns, strict=True):
            panel.set_title(f"$t$ = {maps['time'].values[column]:.3g}")
        for row, head in zip(panels, maps["head"].values, strict=True):
            row[0].set_ylabel(_head(head))
        plot.supxlabel("key position", fontsize=7.5)
        plot.supylabel("query position", fontsize=7.5)
        plot.colorbar(drawn[0][0], ax=panels, label="attention", aspect=max(10, 12 * len(maps)), pad=0.01)
        return plot


def animation(drawing: Drawing) -> bytes:
    """The maps as an animated GIF: up to 24 saved times in equal steps of the time axis, then a pause at the end.

    **Arguments:** as for `figure`. **Raises:** as `figure`.
    """
    dataset, events, time_axis = drawing.dataset, drawing.events, drawing.time_axis
    require(dataset, [_NAME])
    maps = _maps(dataset)
    heads = len(maps)
    across = min(heads, 4)
    down = math.ceil(heads / across)
    with drawing.settings():
        plot = Figure(figsize=(0.75 + 1.45 * across, 0.75 + 1.6 * down), layout="constrained", dpi=_SCREEN)
        panels = list(plot.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
        for spare in panels[heads:]:
            spare.set_axis_off()
        images = [_draw(panel, maps[row, 0], maps) for row, panel in enumerate(panels[:heads])]
        for panel, head in zip(panels, maps["head"].values, strict=False):
            panel.set_title(_head(head))
        plot.colorbar(images[0], ax=panels, label="attention", aspect=12 * down, pad=0.02)
        plot.supxlabel("key position", fontsize=7.5)
        plot.supylabel("query position", fontsize=7.5)
        return _film(plot, images, maps, _steps(maps["time"].values, time_axis), _frame.border_time(events))


def _film(plot: Figure, images: list[AxesImage], maps: xarray.DataArray, frames: list[int], border) -> bytes:
    plot.suptitle("$t$ = 0", fontsize=8)
    plot.draw_without_rendering()
    plot.set_layout_engine("none")  # frames keep the first one's layout, which is most of a frame's cost
    writer = PillowWriter(fps=_PER_SECOND)
    with tempfile.TemporaryDirectory() as folder:  # the writer takes a path alone
        path = pathlib.Path(folder) / "film.gif"
        with writer.saving(plot, str(path), dpi=_SCREEN):
            for index in [*frames, *[frames[-1]] * _HELD]:
                time = maps["time"].values[index]
                phase = "" if border is None else ", phase 1" if time < border else ", phase 2"
                plot.suptitle(f"$t$ = {time:#.3g}{phase}", fontsize=8)
                for image, values in zip(images, maps[:, index].values, strict=True):
                    image.set_data(values)
                writer.grab_frame()
        return path.read_bytes()


def _maps(dataset: xarray.Dataset) -> xarray.DataArray:
    """(head, time, query, key), of the first seed where there are several, as far as it came."""
    values = dataset[_NAME]
    values = values.isel(seed=0) if "seed" in values.dims else values
    values = values.transpose("head", "time", "query_position", "key_position").isel(head=slice(_MOST))
    return values.dropna("time")


def _turning_points(maps: np.ndarray, count: int) -> list[int]:
    """Indices of times that cut the way which the maps go into parts of equal length; in equal steps if they rest."""
    way = np.sqrt(np.sum(np.diff(maps, axis=1) ** 2, axis=(0, 2, 3)))
    gone = np.concatenate([[0.0], np.cumsum(way)])
    last = len(gone) - 1
    if not gone[-1] > 1e-9 * math.sqrt(maps[:, 0].size):
        return sorted({round(k) for k in np.linspace(0, last, min(count, 2))})
    wanted = np.linspace(0, gone[-1], count)[1:-1]
    return sorted({0, *(int(np.argmin(np.abs(gone - part))) for part in wanted), last})


def _steps(times: np.ndarray, time_axis: str) -> list[int]:
    """Indices of the saved times nearest to equal steps of the axis, t = 0 and the last among them."""
    inner = times[times > 0]
    spaced = np.geomspace if time_axis == "log" else np.linspace
    nearest = [int(np.argmin(np.abs(times - wanted))) for wanted in spaced(inner[0], inner[-1], _FRAMES)]
    return sorted({0, *nearest})


def _draw(panel: Axes, values: xarray.DataArray, of: xarray.DataArray) -> AxesImage:
    colors, low, high = _colors(of)
    image = panel.imshow(values.values, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    for spine in panel.spines.values():
        spine.set_visible(True)
    return image


def _colors(maps: xarray.DataArray) -> tuple[Colormap, float, float]:
    """One scale for all heads and times: from 0 for probabilities, to both sides of 0 for scores of both signs."""
    size = float(np.abs(maps.values).max()) or 1.0
    return (_TWO_SIGNS, -size, size) if maps.values.min() < 0 else (_ONE_SIGN, 0.0, size)


def _head(label: object) -> str:
    return style.plain(f"head {label}")


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset, overlays = drawing.dataset, drawing.overlays
    values = dataset[_NAME]
    text = str(values.attrs.get("long_name", "attention"))
    return _frame.sentences(
        f"{text[:1].upper()}{text[1:]}, by query (down) and key (across), at a few of the saved times.",
        "The times cut the way that the maps go into parts of equal length.",
        "Head 2.1 is the first head of the second layer." if values.sizes["head"] > 1 else "",
        f"The first {_MOST} heads are drawn." if values.sizes["head"] > _MOST else "",
        f"Of the {values.sizes['seed']} seeds the first is drawn." if "seed" in values.dims else "",
        "Runs of descent are not drawn." if overlays else "",
    )
