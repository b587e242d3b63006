"""One look for all figures: fit for a paper's single column, safe for color-blind readers, the same in every figure.

Figures are `matplotlib.figure.Figure` objects without pyplot: nothing is registered globally, so nothing leaks, and no
display is needed.
"""

import contextlib
import dataclasses
import io
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import matplotlib.colors
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from .._values import as_list

COLUMN = 3.4  # inches: one column of a two-column paper
PAGE = 6.9
DOTS_PER_INCH = 200

# Colors of Okabe and Ito (2008), "Color universal design". The first target and the group that holds only it share a
# color and a marker, and likewise the second, so that a reader carries them from figure to figure.
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
BLACK, GREY = "#1A1A1A", "#8C8C8C"

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.0,
    "legend.columnspacing": 1.0,
    "legend.labelspacing": 0.3,
    "mathtext.fontset": "dejavusans",
    "text.usetex": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": DOTS_PER_INCH,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,  # journals refuse type 3 fonts
    "svg.hashsalt": "flowsim",  # otherwise element names differ from run to run
}
_LOCK = threading.RLock()  # Matplotlib's settings are global to the process


@dataclasses.dataclass(frozen=True)
class Look:
    """How one group or word is drawn, in every figure. `marker` may be empty."""

    label: str
    color: str
    marker: str = ""


ALL = Look("all samples", BLACK)
GROUPS = {
    "both": Look("both targets", BLUE, "o"),
    "first": Look("first target only", VERMILION, "s"),
    "second": Look("second target only", GREEN, "^"),
    "neither": Look("no target", ORANGE, "D"),
}
WORDS = (Look("target 1", VERMILION, "s"), Look("target 2", GREEN, "^"), Look("common word", PURPLE, "v"))
RANDOM = Look("random words", GREY)
_SPARE_COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, GREY)
_SPARE_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = (  # of runs of descent; the flow is solid
    (0, (3.5, 1.5)),
    (0, (1.0, 1.0)),
    (0, (5.0, 1.0, 1.0, 1.0)),
    (0, (5.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
)


@contextlib.contextmanager
def paper(more: Any = ()) -> Iterator[None]:
    """The settings of all figures, whatever the user's matplotlibrc says, and `more` over them.

    Use it around drawing and saving. One thread at a time is inside, because Matplotlib keeps its settings globally;
    it may be entered again by the thread that is inside.
    """
    with _LOCK, matplotlib.style.context(["default", RC, *as_list(more)]):
        yield


def rendered(figure: Figure, form: str) -> bytes:
    """The bytes of a figure as `png`, `pdf` or `svg`, without the time of drawing or the drawer's version in them."""
    without = {
        "png": {"Software": None},
        "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
        "svg": {"Creator": None, "Date": None},
    }[form]
    buffer = io.BytesIO()
    with paper():
        figure.savefig(buffer, format=form, metadata=without)
    figure.set_layout_engine("none")  # it is laid out now, whatever form is drawn next
    return buffer.getvalue()


def group_look(name: str, index: int) -> Look:
    """The look of a group of samples; groups that the paper does not know get spare colors by their position."""
    return GROUPS.get(name) or spare_look(name, index)


def spare_look(name: str, index: int) -> Look:
    """A look for what has no fixed one."""
    colors, markers = _SPARE_COLORS, _SPARE_MARKERS
    return Look(plain(name), colors[index % len(colors)], markers[index % len(markers)])


def series(labels: Sequence[str]) -> list[Look]:
    """Looks for lines that have an order, all different: the spare ones while they last, else a sequence of colors."""
    if len(labels) <= len(_SPARE_COLORS):
        return [spare_look(label, index) for index, label in enumerate(labels)]
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(labels)))
    return [
        Look(plain(label), matplotlib.colors.to_hex(color), _SPARE_MARKERS[index % len(_SPARE_MARKERS)])
        for index, (label, color) in enumerate(zip(labels, colors, strict=True))
    ]


def dash(index: int) -> tuple[int, Sequence[float]]:
    """The line style of the run of descent number `index`."""
    return DASHES[index % len(DASHES)]


def darker(color: str) -> tuple[float, float, float]:
    """The color of a run of descent drawn over the flow's line: without it, two lines that agree look like one."""
    red, green, blue = matplotlib.colors.to_rgb(color)
    return 0.45 * red, 0.45 * green, 0.45 * blue


def plain(text: object, longest: int = 48) -> str:
    """A user's text as Matplotlib shows it: no mathematics mode, no hidden labels, one line."""
    words = " ".join(str(text).split()) or "unnamed"
    words = words if len(words) <= longest else words[: longest - 1] + "…"
    return ("\u200a" if words.startswith("_") else "") + words.replace("$", r"\$")
