"""One small figure for each claim: the curve, the bound, and the phases; and for each exponent, its points."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._files import write_bytes
from ..claims import Curve, Exponent, Verdict
from . import frame as _frame
from . import style
from .drawing import Drawing

_COLORS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.BLACK)
_MOST = 20  # seeds drawn; more make a blot
_HEIGHT = 2.1
_MARGIN = 1.6  # a bound farther than this many ranges from the curves is named, not drawn


def draw_claims(
    verdicts: Sequence[Sequence[Verdict]], exponents: Sequence[Exponent], T1: Sequence[float | None], directory: Path
) -> list[Path]:
    """Draw every claim that has a curve, and every exponent, as PNG.

    **Arguments:** `verdicts`: one list for each seed, the claims in the same order; `T1`: end of phase 1 of each seed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for column in zip(*verdicts, strict=True):
        curves = [verdict.finding.curve for verdict in column]
        if any(curve is not None for curve in curves):
            written.append(_write(directory, column[0].claim.id, figure(curves, T1)))
    for found in exponents:
        if found.exponent is not None:
            written.append(_write(directory, found.id, exponent_figure(found)))
    return written


def file_name(claim_id: str) -> str:
    """The PNG of a claim, by the claim's id."""
    return re.sub(r"[^a-z0-9]+", "_", claim_id.lower()).strip("_") + ".png"


def _write(directory: Path, claim_id: str, plot: Figure) -> Path:
    path = directory / file_name(claim_id)
    write_bytes(path, style.rendered(plot, "png"))
    return path


def figure(curves: Sequence[Curve | None], T1: Sequence[float | None]) -> Figure:
    """A claim's curves against time, the first seed's in full color over the others', with its bounds and phases."""
    shown = [(curve, end) for curve, end in zip(curves, T1, strict=True) if curve is not None][:_MOST]
    with style.paper():
        plot, (axes,) = Drawing(xarray.Dataset()).panels(height=_HEIGHT)
        axes.set_xscale("log")
        for curve, _ in reversed(shown[1:]):
            _lines(axes, curve, alpha=0.25, width=0.5, named=False)
        first, border = shown[0]
        _lines(axes, first, alpha=1.0, width=1.3, named=True)
        _bounds(axes, first)
        _scale(axes, first)
        events = {} if border is None else {"phase1_end": {"time": border}}
        _frame.finish([axes], events, "log")
        axes.legend(loc="best", fontsize=6)
        return plot


def _lines(axes: Axes, curve: Curve, *, alpha: float, width: float, named: bool) -> None:
    keep = curve.time > 0
    for color, (label, values) in zip(_COLORS, curve.lines.items(), strict=False):
        finite = np.where(np.isfinite(values), values, np.nan)[keep]
        name = style.plain(label) if named else None
        axes.plot(curve.time[keep], finite, color=color, alpha=alpha, linewidth=width, label=name)


def _values(curve: Curve) -> np.ndarray:
    every = np.concatenate([values[curve.time > 0] for values in curve.lines.values()])
    return every[np.isfinite(every)]


def _bounds(axes: Axes, curve: Curve) -> None:
    values = _values(curve)
    reach = _MARGIN * max(float(np.ptp(values)), 1e-300) if values.size else 0.0
    for label, bound in curve.bounds.items():
        near = values.size and np.min(values) - reach <= bound <= np.max(values) + reach
        text = f"{label} = {bound:.3g}" if label != f"{bound:g}" else label
        if near or (bound > 0 and values.size and np.min(values) >= 0):
            axes.axhline(bound, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label=style.plain(text))


def _scale(axes: Axes, curve: Curve) -> None:
    """A log axis where everything, bounds too, is positive and spans decades."""
    values = np.concatenate([_values(curve), list(curve.bounds.values())])
    if values.size and np.min(values) >= 0 and np.max(values) > 0:
        positive = values[values > 0]
        if np.max(positive) > 30 * np.min(positive):
            axes.set_yscale("log")


def exponent_figure(found: Exponent) -> Figure:
    """Measured values against the size that was varied, both in logarithms, with the fit and the predicted slope."""
    x, y = np.array(found.values), np.array(found.measured)
    assert found.exponent is not None
    assert found.predicted is not None
    with style.paper():
        plot, (axes,) = Drawing(xarray.Dataset()).panels(height=_HEIGHT)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(x, y, "o", color=style.BLUE, markersize=2.5, markeredgewidth=0, label="measured, every seed")
        ends = np.array([np.min(x), np.max(x)])
        middle, height = np.exp(np.mean(np.log(x))), np.exp(np.mean(np.log(y)))
        for slope, color, dash, label in (
            (found.exponent, style.BLUE, "-", f"fitted exponent {found.exponent:.4g}"),
            (found.predicted, style.VERMILION, "--", f"predicted {found.predicted:.4g}"),
        ):
            axes.plot(ends, height * (ends / middle) ** slope, dash, color=color, linewidth=1.0, label=label)
        axes.set_xlabel(found.over)
        axes.set_ylabel(found.law.id)
        axes.legend(loc="best", fontsize=6)
        return plot
