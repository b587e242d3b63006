"""The figures by name, and drawing them into files."""

import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from .._files import write_bytes
from . import alignment, attention, attention_maps, balance, descent, event_times, invariants, loss, structure, style
from .need import CannotDraw
from .types import Events, TimeAxis


@dataclasses.dataclass(frozen=True)
class Kind:
    """A figure that can be asked for by name. Calling it gives the figure.

    **Fields:** `figure` and `caption`, both `(dataset, events, overlays=(), *, time_axis="log")`; `animation`:
    `(dataset, events, *, time_axis="log") -> bytes` of a GIF, None for a figure that does not move.
    """

    figure: Callable[..., Figure]
    caption: Callable[..., str]
    animation: Callable[..., bytes] | None = None

    def __call__(
        self,
        dataset: xarray.Dataset,
        events: Events,
        overlays: Sequence[xarray.Dataset] = (),
        *,
        time_axis: TimeAxis = "log",
    ) -> Figure:
        return self.figure(dataset, events, overlays, time_axis=time_axis)


FIGURES: Mapping[str, Kind] = MappingProxyType(
    {
        "loss": Kind(loss.figure, loss.caption),
        "attention": Kind(attention.figure, attention.caption),
        "attention_maps": Kind(attention_maps.figure, attention_maps.caption, attention_maps.animation),
        "alignment": Kind(alignment.figure, alignment.caption),
        "balance": Kind(balance.figure, balance.caption),
        "invariants": Kind(invariants.figure, invariants.caption),
        "descent": Kind(descent.figure, descent.caption),
        "structure": Kind(structure.figure, structure.caption),
        "event_times": Kind(event_times.figure, event_times.caption),
    }
)


_DRAWN = 4000  # times in one line of a figure


@dataclasses.dataclass(frozen=True)
class FigureRecord:
    """What became of one figure: its files and a caption, or the reason why it was skipped.

    **Fields:** `gif`: None for a figure that does not move.
    """

    name: str
    png: Path | None = None
    pdf: Path | None = None
    gif: Path | None = None
    skipped_reason: str | None = None
    caption: str = ""


def draw(
    names: Iterable[str],
    dataset: xarray.Dataset | None,
    summary: Mapping[str, Any],
    overlays: Sequence[xarray.Dataset],
    directory: Path | str,
    *,
    time_axis: TimeAxis = "log",
) -> list[FigureRecord]:
    """Draw figures as PNG and PDF, and as GIF what moves.

    The same data gives the same bytes: no time stamps, no random names.

    **Arguments:** `names`: keys of `FIGURES`; `dataset` as `trajectory.nc`, None if there is none; `summary` as
    `summary.json` (`events` is used); `overlays`: discrete runs; `directory`: made if missing.

    **Returns:** a record for each name, in order; one that lacks data is skipped, with the reason.

    **Raises:** `ValueError` for an unknown name, before anything is drawn.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise ValueError(f"unknown figure {unknown[0]!r}; the figures are {', '.join(FIGURES)}.")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if dataset is None:
        return [FigureRecord(name, skipped_reason="there is no trajectory") for name in names]
    events = summary.get("events") or {}
    dataset, overlays = _thinned(dataset), [_thinned(overlay) for overlay in overlays]
    return [_draw_one(name, dataset, events, overlays, directory, time_axis) for name in names]


def _thinned(dataset: xarray.Dataset) -> xarray.Dataset:
    """At most `_DRAWN` times, evenly picked, first and last among them: more than a page can show."""
    number = dataset.sizes.get("time", 0)
    if number <= _DRAWN:
        return dataset
    return dataset.isel(time=np.linspace(0, number - 1, _DRAWN).round().astype(int))


def _draw_one(name, dataset, events, overlays, directory: Path, time_axis: TimeAxis) -> FigureRecord:
    kind = FIGURES[name]
    png, pdf, gif = (directory / f"{name}.{form}" for form in ("png", "pdf", "gif"))
    try:
        figure = kind.figure(dataset, events, overlays, time_axis=time_axis)
    except CannotDraw as reason:
        for stale in (png, pdf, gif):  # of an earlier drawing: it would show other data than the record
            stale.unlink(missing_ok=True)
        return FigureRecord(name, skipped_reason=str(reason))
    write_bytes(png, rendered(figure, "png"))
    write_bytes(pdf, rendered(figure, "pdf"))
    if kind.animation is not None:
        write_bytes(gif, kind.animation(dataset, events, time_axis=time_axis))
    moving = None if kind.animation is None else gif
    return FigureRecord(name, png, pdf, moving, caption=kind.caption(dataset, events, overlays, time_axis=time_axis))


def rendered(figure: Figure, form: str) -> bytes:
    """The bytes of a figure as `png` or `pdf`, without the time of drawing or the drawer's version in them."""
    without = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}[form]
    buffer = io.BytesIO()
    with style.paper():
        figure.savefig(buffer, format=form, metadata=without)
    figure.set_layout_engine("none")  # it is laid out now, whatever form is drawn next
    return buffer.getvalue()
