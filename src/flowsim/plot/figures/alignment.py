"""The linear MLP function of the words: how the MLP aligns with the targets in phase 1."""

import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require

NEEDS = ("mlp_alignment",)
STATISTICS = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")


def figure(drawing: Drawing) -> Figure:
    """G(μ) = Σ_j a_j w_jᵀ W_V μ of the targets and the common word against time; random words as a band.

    **Raises:** `CannotDraw` if `mlp_alignment` is missing or there are not two times to join.

    **Reference:** Yang et al. 2024, Theorem 3.1.1.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    require(dataset, NEEDS)
    with drawing.settings():
        plot, (axes,) = _frame.over_time(drawing, height=2.5)
        axes.axhline(0, color="#BBBBBB", linewidth=0.6, zorder=1)
        handles = _draw_random(axes, dataset) if "mlp_alignment_random" in dataset else []
        for word, look in enumerate(style.WORDS):
            _curves.draw_flow(
                axes,
                _curves.pick(dataset, "mlp_alignment", {"word": word}),
                look,
                place=word / 3,
                seeds=drawing.style.seeds,
            )
        descents = [
            (_curves.pick(run, "mlp_alignment", {"word": word}), look, index)
            for index, run in _curves.holding("mlp_alignment", overlays)
            for word, look in enumerate(style.WORDS)
        ]
        _curves.draw_descent(axes, descents)
        axes.set_ylabel(r"linear MLP function $G(\mu)$")
        _frame.finish([axes], drawing.events, drawing.time_axis, _frame.time_label(overlays))
        words = [_frame.handle(look) for look in style.WORDS]
        _frame.legend(
            drawing, plot, [*words, *handles, *_frame.overlay_handles(overlays)], columns=3 if not overlays else 2
        )
        return plot


def _draw_random(axes: Axes, dataset: xarray.Dataset) -> list:
    """Two nested bands and the median; over an ensemble, the median of each statistic over the seeds."""
    low, lower, middle, upper, high = (
        _curves.pick(dataset, "mlp_alignment_random", {"statistic": name}) for name in STATISTICS
    )
    outer = axes.fill_between(low.time, low.middle, high.middle, color=style.GREY, alpha=0.22, linewidth=0, zorder=1.1)
    inner = axes.fill_between(
        low.time, lower.middle, upper.middle, color=style.GREY, alpha=0.45, linewidth=0, zorder=1.2
    )
    _curves.draw_flow(axes, middle, style.RANDOM, width=0.9)
    outer.set_label("random: range")
    inner.set_label("random: quartiles")
    return [_frame.handle(style.Look("random: median", style.GREY), linewidth=0.9), inner, outer]


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    dataset = drawing.dataset
    random = ""
    if "mlp_alignment_random" in dataset:
        random = "Grey: the random words' median, quartiles (dark band) and full range (light band)."
    return _frame.sentences(
        "What the linear MLP adds to the output for each unit of attention on a word: G of the two target words and "
        "of the common word against time of the flow.",
        random,
        _frame.closing_sentences(drawing, "mlp_alignment"),
    )
