"""Automatic balancing of gradients: how much each group of samples still pulls (Lemmas 4.4 and 4.5)."""

from collections.abc import Sequence

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require, require_groups

NEEDS = ("gradient_sum",)
_NAMES = ("both", "first", "second", "neither")
_NEGATIVES = style.Look("all negatives", style.BLACK)
_GAP = style.Look(r"$(\Sigma_{first} - \Sigma_{second})\,/\,\min$  (Lemma 4.4)", style.PURPLE)
_RATIO = style.Look(
    r"$R = (\Sigma_{negatives} - \Sigma_{both})\,/\,(\Sigma_{both} - \Sigma_{first})$  (Lemma 4.5)", style.BLUE
)
_BAND = (1.0, 2.0)  # where Lemma 4.5 holds R
_WIDEST = (-2.0, 6.0)  # an axis beyond this would flatten the band to a line


def figure(drawing: Drawing) -> Figure:
    """Σ g_i of every group against time, and the two ratios that the paper bounds; R should stay in (1, 2) in phase 2.

        gap = (Σ_I2 g - Σ_I3 g) / min(Σ_I2 g, Σ_I3 g)        R = (Σ_{I2∪I3∪I4} g - Σ_I1 g) / (Σ_I1 g - Σ_I2 g)

    **Raises:** `CannotDraw` if `gradient_sum` or one of the four groups is missing.

    **Reference:** Yang et al. 2024, Lemmas 4.4 and 4.5.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    require(dataset, NEEDS)
    require_groups(dataset, _NAMES)
    with drawing.settings():
        plot, panels = _frame.over_time(drawing, 2, height=4.2)
        looks = [*(style.GROUPS[name] for name in _NAMES), _NEGATIVES]
        _draw_sums(panels[0], dataset, overlays, looks)
        _draw_ratios(panels[1], dataset, overlays, _frame.border_time(drawing.events))
        _frame.finish(panels, drawing.events, drawing.time_axis, _frame.time_label(overlays))
        ratio_handles = [_frame.handle(_RATIO), _frame.handle(_GAP)]
        panels[1].legend(handles=ratio_handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2)
        handles: list[Line2D] = [*map(_frame.handle, looks), *_frame.overlay_handles(overlays)]
        _frame.legend(drawing, plot, handles, columns=3 if not overlays else 2)
        plot.align_ylabels(panels)
        return plot


def ratios(gradient_sum: xarray.DataArray) -> tuple[xarray.DataArray, xarray.DataArray]:
    """The gap of Lemma 4.4 and the ratio R of Lemma 4.5; not a number where a denominator is zero."""
    both, first, second, neither = (gradient_sum.sel(group=name, drop=True) for name in _NAMES)
    smaller = first.where(first < second, second)
    gap = (first - second) / smaller.where(smaller > 0)
    pull = both - first
    return gap, (first + second + neither - both) / pull.where(pull != 0)


def _draw_sums(axes: Axes, dataset: xarray.Dataset, overlays, looks) -> None:
    curves = _sums(dataset)
    if _curves.spans_decades(curves):
        axes.set_yscale("log")
    for i, (curve, look) in enumerate(zip(curves, looks, strict=True)):
        _curves.draw_flow(axes, curve, look, place=i / 5, width=1.2)
    runs = _curves.holding("gradient_sum", overlays)
    _curves.draw_descent(
        axes, [(curve, look, index) for index, run in runs for curve, look in zip(_sums(run), looks, strict=True)]
    )
    axes.set_ylabel(r"$\Sigma\, g_i$ over each group")


def _sums(run: xarray.Dataset) -> list[_curves.Curve]:
    negatives = run["gradient_sum"].sel(group=["first", "second", "neither"]).sum("group")
    groups = [_curves.pick(run, "gradient_sum", {"group": name}) for name in _NAMES]
    return [*groups, _curves.to_curve(negatives)]


def _draw_ratios(axes: Axes, dataset: xarray.Dataset, overlays, border: float | None) -> None:
    axes.axhspan(*_BAND, color=style.BLUE, alpha=0.10, linewidth=0, zorder=1)
    axes.axhline(0, color="#BBBBBB", linewidth=0.6, zorder=1)
    curves = [_curves.to_curve(ratio) for ratio in ratios(dataset["gradient_sum"])]
    for curve, look in zip(curves, (_GAP, _RATIO), strict=True):
        _curves.draw_flow(axes, _broken_at_poles(curve), look, width=1.2)
    low, high, clipped = ratio_limits(curves, border)
    axes.set_ylim(low, high)
    descents = [
        (_broken_at_poles(_curves.to_curve(ratio)), look, index)
        for index, run in _curves.holding("gradient_sum", overlays)
        for ratio, look in zip(ratios(run["gradient_sum"]), (_GAP, _RATIO), strict=True)
    ]
    _curves.draw_descent(axes, descents)
    axes.set_ylim(low, high)
    beyond = any(np.any((c.middle < low) | (c.middle > high)) for c, _, _ in descents)
    axes.set_ylabel("ratios of gaps\n(axis clipped)" if clipped or beyond else "ratios of gaps")
    axes.text(0.01, 1.97, "(1, 2)", transform=axes.get_yaxis_transform(), va="top", fontsize=6.5, color=style.BLUE)


def ratio_limits(curves: Sequence[_curves.Curve], border: float | None) -> tuple[float, float, bool]:
    """Limits that show the band (1, 2) and phase 2, where the lemmas speak, and whether they cut something off.

    Early on the denominators pass through zero, and the ratios say nothing: their poles must not set the scale.
    """
    time = np.concatenate([curve.time for curve in curves])
    values = np.concatenate([curve.middle for curve in curves])
    finite = np.isfinite(values)
    clipped = bool(np.any((values[finite] < _WIDEST[0]) | (values[finite] > _WIDEST[1])))
    if clipped and border is not None:
        finite &= time >= border
    seen = np.clip(values[finite], *_WIDEST)
    low, high = min(-0.25, 1.08 * np.min(seen, initial=0)), max(2.5, 1.08 * np.max(seen, initial=0))
    return float(max(low, _WIDEST[0])), float(min(high, _WIDEST[1])), clipped


def _broken_at_poles(curve: _curves.Curve) -> _curves.Curve:
    """Leave a gap where a ratio jumps from one infinity to the other: the line across it would be no value."""
    before, after = curve.middle[:-1], curve.middle[1:]
    jump = np.append(False, (np.sign(before) != np.sign(after)) & (np.minimum(abs(before), abs(after)) > 1))
    return curve.map(lambda values: np.where(jump, np.nan, values))


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset = drawing.dataset
    curves = [_curves.to_curve(ratio) for ratio in ratios(dataset["gradient_sum"])]
    low, high, clipped = ratio_limits(curves, _frame.border_time(drawing.events))
    cut = f"Values outside [{low:.2g}, {high:.2g}], where a denominator is near zero, are cut off." if clipped else ""
    return _frame.sentences(
        "Automatic balancing of gradients. Above: Σ g over the samples of each group, g = 1/(1 + exp(y F)) being how "
        "strongly a sample still pulls. Below: the relative gap between the two groups that hold one target (Lemma "
        "4.4 bounds it) and the ratio R, which Lemma 4.5 holds between 1 and 2 (shaded) in phase 2.",
        cut,
        _frame.closing_sentences(drawing, "gradient_sum"),
    )
