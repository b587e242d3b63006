"""The figures by name."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import xarray
from matplotlib.figure import Figure

from . import figures
from .drawing import Drawing
from .types import Events


def _no_caption(drawing: Drawing) -> str:
    return ""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A figure that can be asked for by name. Calling it gives the figure.

    **Fields:** `figure`: the function of a `Drawing`; `caption`: what it shows, in sentences; `animation`: the bytes
    of a GIF, None for a figure that does not move; `options`: fields of `FigureStyle` that this figure sets.
    """

    figure: Callable[[Drawing], Figure]
    caption: Callable[[Drawing], str] = _no_caption
    animation: Callable[[Drawing], bytes] | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(
        self,
        data: Drawing | xarray.Dataset,
        events: Events = MappingProxyType({}),
        overlays: Sequence[xarray.Dataset] = (),
        **options: Any,
    ) -> Figure:
        """The figure of a `Drawing`, or of a dataset with its events.

        **Arguments:** `events`, `overlays`: as in `Drawing`, for a dataset; `options`: fields of `FigureStyle`.
        """
        drawing = data if isinstance(data, Drawing) else Drawing(data, events, overlays)
        return self.figure(self.styled(**options).of(drawing))

    def styled(self, **options: Any) -> "Kind":
        """The same figure with some fields of `FigureStyle` set: `FIGURES["loss"].styled(time_axis="linear")`."""
        return dataclasses.replace(self, options={**self.options, **options})

    def of(self, drawing: Drawing) -> Drawing:
        """The drawing with this figure's options in its style."""
        return dataclasses.replace(drawing, style=dataclasses.replace(drawing.style, **self.options))


def _of_module(name: str) -> Kind:
    module = importlib.import_module(f"{figures.__name__}.{name}")
    return Kind(module.figure, getattr(module, "caption", _no_caption), getattr(module, "animation", None))


FIGURES: Mapping[str, Kind] = MappingProxyType(
    {found.name: _of_module(found.name) for found in pkgutil.iter_modules(figures.__path__)}
)
