"""Attention scores of the three words that matter (the paper's Figure 1a)."""

from collections.abc import Sequence

import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import curves as _curves
from .. import frame as _frame
from .. import style
from ..drawing import Drawing
from ..need import require

NEEDS = ("attention_score",)
_PAIRS = [(key, query) for key in range(3) for query in range(3)]


def figure(drawing: Drawing) -> Figure:
    """Scores μ_keyᵀ W_Kᵀ W_Q μ_query of the two targets and the common word against time, and their change.

    The scores start at random values that are far apart; the second panel shows what the flow adds to them.

    **Raises:** `CannotDraw` if `attention_score` is missing or there are not two times to join.

    **Reference:** Yang et al. 2024, Figure 1a.
    """
    dataset, overlays = drawing.dataset, drawing.overlays
    seeds = drawing.style.seeds
    require(dataset, NEEDS)
    with drawing.settings():
        plot, panels = _frame.over_time(drawing, 2, height=3.9)
        for axes, change in zip(panels, (False, True), strict=True):
            for place, pair in enumerate(_PAIRS):
                _curves.draw_flow(
                    axes,
                    _score(dataset, pair, change),
                    _look(pair),
                    place=place / len(_PAIRS),
                    width=1.0,
                    seeds=seeds,
                )
            runs = _curves.holding("attention_score", overlays)
            _curves.draw_descent(
                axes, [(_score(run, pair, change), _look(pair), index) for index, run in runs for pair in _PAIRS]
            )
        panels[0].set_ylabel(r"score $\mu_k^{\top} W_K^{\top} W_Q\, \mu_q$")
        panels[1].set_ylabel("change of score since $t = 0$")
        _zero(panels[1])
        _frame.finish(panels, drawing.events, drawing.time_axis, _frame.time_label(overlays))
        _frame.legend(drawing, plot, _handles(overlays), columns=2)
        plot.align_ylabels(panels)
        return plot


def caption(drawing: Drawing) -> str:
    """A sentence or more that let the figure stand alone."""
    return _frame.sentences(
        "Attention scores of the two target words and the common word, before the division by √m and the softmax: "
        "their values above, their change since t = 0 below. The color is the key word (which is attended to), the "
        "marker the query word (which attends).",
        _frame.closing_sentences(drawing, "attention_score"),
    )


def _score(run: xarray.Dataset, pair: tuple[int, int], change: bool) -> _curves.Curve:
    where = dict(zip(("key_word", "query_word"), pair, strict=True))
    values = run["attention_score"].sel(where)
    error = run["attention_score_error"].sel(where) if "attention_score_error" in run else None
    return _curves.to_curve(values - values.isel(time=0) if change else values, error)


def _look(pair: tuple[int, int]) -> style.Look:
    key, query = (style.WORDS[word] for word in pair)
    return style.Look(f"{key.label}, {query.label}", key.color, query.marker)


def _zero(axes: Axes) -> None:
    axes.axhline(0, color="#BBBBBB", linewidth=0.6, zorder=1)


def _handles(overlays: Sequence[xarray.Dataset]) -> list[Line2D]:
    """Colors for keys in the first column, markers for queries in the second, runs of descent below in both."""
    keys = [_frame.handle(style.Look(f"key: {word.label}", word.color)) for word in style.WORDS]
    queries = [
        _frame.handle(style.Look(f"query: {word.label}", "#444444", word.marker), linestyle="") for word in style.WORDS
    ]
    runs = _frame.overlay_handles(overlays)
    half = (len(runs) + 1) // 2
    arranged = [*keys, *runs[:half], *queries, *runs[half:]]
    return arranged if _frame.fitting_columns(arranged, 2, style.COLUMN) == 2 else [*keys, *queries, *runs]
