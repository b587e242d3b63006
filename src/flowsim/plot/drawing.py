"""What every figure is a function of: the data, the events, and how the figure is to look."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLUMN, PAGE, paper, rendered
from .types import Events

_WIDTHS: Mapping[Any, float] = {"column": COLUMN, "page": PAGE}
_EVEN = 1.5  # of save times: the largest interval over the smallest below which they count as equally spaced


@dataclasses.dataclass(frozen=True)
class FigureStyle:
    """How a figure is to look.

    **Fields:** `time_axis`: `log`, `linear`, or `auto` (as the times were saved); `width`: `column` (3.4 in), `page`
    (6.9 in) or inches, None for the figure's own; `height` in inches; `seeds`: an ensemble as median with the 10 to
    90 % `band`, or as `lines`, one for each seed; `settings`: Matplotlib's, over flowsim's own: a style's name, a
    mapping of rcParams, or a list of these.
    """

    time_axis: str = "auto"
    width: str | float | None = None
    height: float | None = None
    seeds: str = "band"
    settings: Any = ()

    def __post_init__(self):
        if self.time_axis not in ("auto", "log", "linear"):
            raise ValueError(f"time_axis must be 'auto', 'log' or 'linear', got {self.time_axis!r}.")
        if self.seeds not in ("band", "lines"):
            raise ValueError(f"seeds must be 'band' or 'lines', got {self.seeds!r}.")
        if isinstance(self.inches, str):
            raise ValueError(f"width must be 'column', 'page' or inches, got {self.width!r}.")
        for name, size in (("width", self.inches), ("height", self.height)):
            if size is not None and not 0 < size < 100:
                raise ValueError(f"{name} must be between 0 and 100 inches, got {size!r}.")

    @property
    def inches(self) -> Any:
        """The width as a number, None for the figure's own."""
        return _WIDTHS.get(self.width, self.width)


class Picture(Figure):
    """A Matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What a figure is drawn from. A figure is a function of one `Drawing` that returns a Matplotlib figure.

    **Fields:** `dataset` as `trajectory.nc`; `events`: name -> first time, as a float, a list of times, a record of
    `summary.json`, or a result's; `overlays`: runs of descent with the same variables, `time` = steps × learning rate,
    and an attribute `label`; `summary` as `summary.json`, where there is one; `axes`: where to draw, instead of into
    a figure of its own.

    **Raises:** `ValueError` for a style that there is not.
    """

    dataset: xarray.Dataset
    events: Events = dataclasses.field(default_factory=dict)
    overlays: Sequence[xarray.Dataset] = ()
    summary: Any = None
    style: FigureStyle = FigureStyle()
    axes: Sequence[Axes] = ()

    @property
    def time_axis(self) -> str:
        """`linear` where it is asked for, or the times were saved in equal steps."""
        if self.style.time_axis != "auto":
            return self.style.time_axis
        times = self.dataset["time"].values if "time" in self.dataset.coords else np.zeros(0)
        steps = np.diff(times[times > 0]) if times.ndim == 1 else times
        even = steps.size > 1 and np.min(steps) > 0 and np.max(steps) < _EVEN * np.min(steps)
        return "linear" if even else "log"

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """Matplotlib's settings inside: flowsim's, and the user's over them."""
        with paper(self.style.settings):
            yield

    def panels(
        self, rows: int = 1, columns: int = 1, *, width: float = COLUMN, height: float, share: bool = True
    ) -> tuple[Figure, list[Axes]]:
        """A figure with panels that `share` their time axis, of the size asked for; or the axes that were given.

        **Arguments:** `width`, `height`: inches, if the style names none; a width alone keeps the proportions.

        **Raises:** `ValueError` if the number of axes given is not that of the panels.
        """
        if self.axes:
            if len(self.axes) != rows * columns:
                raise ValueError(
                    f"the figure has {rows * columns} panel{'s' if rows * columns > 1 else ''}, ax= holds "
                    f"{len(self.axes)} axes; give a sequence of {rows * columns}, or no ax."
                )
            figure = self.axes[0].get_figure(root=True)
            assert figure is not None
            return figure, list(self.axes)
        figure = self.whole(width, height)
        return figure, list(figure.subplots(rows, columns, sharex=share, squeeze=False).flat)

    def whole(self, width: float, height: float) -> Figure:
        """An empty figure of the size asked for, else of this one.

        **Raises:** `ValueError` if axes were given: the figure lays out its panels itself.
        """
        if self.axes:
            raise ValueError("this figure lays out its panels itself: give no ax.")
        asked = self.style.inches
        wanted = width if asked is None else float(asked)
        tall = self.style.height if self.style.height is not None else height * wanted / width
        return Picture(figsize=(wanted, tall), layout="constrained")


def first_time(record: Any) -> float | None:
    """The first time of an event in any form that `Drawing.events` may hold, None if it never happened."""
    match record:
        case None:
            return None
        case int() | float():
            return float(record)
        case Mapping():
            return first_time(record.get("time"))
        case Sequence() | np.ndarray():
            return None if not len(record) or record[0] is None else float(record[0])
        case _:
            return first_time(record.time)  # a result's `EventRecord`
