"""Figures: what is drawn is the data, nothing is cut off, and the same data gives the same bytes."""

import itertools

import numpy as np
import pytest
import xarray
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from flowsim import plot
from flowsim.config import registered

from .figure_data import GROUPS, discrete


def line_with(axes, values):
    found = [line for line in axes.lines if np.shape(line.get_ydata()) == np.shape(values)]
    found = [line for line in found if np.allclose(line.get_ydata(), values, rtol=1e-12, atol=1e-300)]
    assert len(found) == 1, "exactly one line carries these values"
    return found[0]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_an_experiment_may_name_every_figure():
    assert set(registered("figure")) >= set(plot.FIGURES)


@pytest.mark.thorough
@pytest.mark.parametrize("time_axis", ["log", "linear"])
@pytest.mark.parametrize("name", list(plot.FIGURES))
def test_figure_is_drawn_whole(dataset, events, name, time_axis):
    """No label, legend or tick reaches over the edge, and no two labels above the panels or in the legend overlap."""
    overlays = [discrete(dataset), discrete(dataset, "sgd, learning rate 0.1 and a long name that goes on and on", 1.1)]
    for runs in ([], overlays):
        if name == "descent" and not runs:
            with pytest.raises(plot.CannotDraw, match="no run of descent"):
                plot.FIGURES[name](dataset, events, runs, time_axis=time_axis)
            continue
        figure = plot.FIGURES[name](dataset, events, runs, time_axis=time_axis)
        with plot.style.paper():
            FigureCanvasAgg(figure).draw()
            edges = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert edges.x0 >= -0.01
        assert edges.y0 >= -0.01
        assert edges.x1 <= width + 0.01
        assert edges.y1 <= height + 0.01
        assert figure.legends or name == "attention_maps"  # whose colors have a bar
        for legend, axes in itertools.product(figure.legends, figure.axes):
            legend = legend.get_window_extent()
            assert not legend.overlaps(axes.get_window_extent())


def test_loss_lines_are_the_data(dataset, events):
    (axes,) = plot.FIGURES["loss"](dataset, events).axes
    assert axes.get_yscale() == "log"  # the loss falls by four decades
    total = line_with(axes, dataset["loss"].values[1:])  # t = 0 has no place on a log axis
    assert np.array_equal(total.get_xdata(), dataset["time"].values[1:])
    for name in GROUPS:
        line = line_with(axes, dataset["loss_by_group"].sel(group=name).values[1:])
        assert to_rgba(line.get_color()) == to_rgba(plot.style.GROUPS[name].color)
    assert axes.get_xlim() == (dataset["time"].values[1], dataset["time"].values[-1])


def test_linear_time_keeps_the_start(dataset, events):
    (axes,) = plot.FIGURES["loss"](dataset, events, time_axis="linear").axes
    line_with(axes, dataset["loss"].values)
    assert axes.get_xlim()[0] == 0


def test_loss_of_few_decades_is_linear(dataset, events):
    (axes,) = plot.FIGURES["loss"](dataset[["loss"]].isel(time=slice(0, 40)), events).axes
    assert axes.get_yscale() == "linear"


def test_empty_group_is_left_out(dataset, events):
    empty = dataset.copy(deep=True)
    empty["loss_by_group"].loc[{"group": "neither"}] = 0.0
    (axes,) = plot.FIGURES["loss"](empty, events).axes
    assert len(axes.lines) == len(plot.FIGURES["loss"](dataset, events).axes[0].lines) - 1


def test_attention_panels(dataset, events):
    above, below = plot.FIGURES["attention"](dataset, events).axes
    score = dataset["attention_score"].values
    for key in range(3):
        for query in range(3):
            line = line_with(above, score[1:, key, query])
            assert to_rgba(line.get_color()) == to_rgba(plot.style.WORDS[key].color)
            assert line.get_marker() == plot.style.WORDS[query].marker
            line_with(below, score[1:, key, query] - score[0, key, query])


def test_alignment_with_and_without_random_words(dataset, events):
    (axes,) = plot.FIGURES["alignment"](dataset, events).axes
    assert len(axes.collections) == 2
    for word in range(3):
        line_with(axes, dataset["mlp_alignment"].values[1:, word])
    (axes,) = plot.FIGURES["alignment"](dataset.drop_vars("mlp_alignment_random"), events).axes
    assert len(axes.collections) == 0


def test_ratios_of_the_lemmas():
    sums = xarray.DataArray(
        [[7.0, 5.0, 4.0, 1.0], [5.0, 5.0, 0.0, 1.0]], dims=("time", "group"), coords={"group": GROUPS}
    )
    gap, ratio = plot.figures.balance.ratios(sums)
    assert gap.values[0] == (5 - 4) / 4
    assert ratio.values[0] == (5 + 4 + 1 - 7) / (7 - 5)
    assert np.isnan(gap.values[1])
    assert np.isnan(ratio.values[1])


def test_ratio_axis_is_clipped_at_poles_and_says_so(dataset, events):
    _, panel = plot.FIGURES["balance"](dataset, events).axes
    gap, ratio = plot.figures.balance.ratios(dataset["gradient_sum"])
    late = dataset["time"].values > events["phase1_end"]["time"]
    low, high = panel.get_ylim()
    seen = np.concatenate([gap.values[late], ratio.values[late]])
    assert low <= seen.min()
    assert high >= seen.max()
    assert low <= 1 < 2 <= high
    assert "clipped" not in panel.get_ylabel()

    pole = dataset.copy(deep=True)
    pole["gradient_sum"][10] = [7.0, 7.0 - 1e-6, 3.0, 1.0]
    pole["gradient_sum"][11] = [7.0, 7.0 + 1e-6, 3.0, 1.0]
    _, panel = plot.FIGURES["balance"](pole, events).axes
    assert "clipped" in panel.get_ylabel()
    assert panel.get_ylim()[1] <= 6
    assert "cut off" in plot.FIGURES["balance"].caption(plot.Drawing(pole, events))
    _, jump = plot.figures.balance.ratios(pole["gradient_sum"])
    curve = next(line.get_ydata() for line in panel.lines if np.nanmax(np.abs(line.get_ydata())) > 1e6)
    assert jump.values[10] * jump.values[11] < 0
    assert np.isnan(curve[10])  # row 11 without t = 0: no stroke from one infinity to the other


@pytest.mark.parametrize("time_axis", ["log", "linear"])
def test_border_between_the_phases(dataset, events, time_axis):
    time = events["phase1_end"]["time"]
    figure = plot.FIGURES["alignment"](dataset, events, time_axis=time_axis)
    assert any(np.array_equal(line.get_xdata(), [time, time]) for line in figure.axes[0].lines)
    said = " ".join(texts(figure))
    assert "phase 1" in said
    assert "phase 2" in said

    for never in ({"phase1_end": {"time": None, "times": []}}, {}):
        figure = plot.FIGURES["alignment"](dataset, never, time_axis=time_axis)
        assert not any(np.array_equal(line.get_xdata(), [time, time]) for line in figure.axes[0].lines)
        assert "phase" not in " ".join(texts(figure))


def test_descent_lies_over_the_flow(dataset, events):
    run = discrete(dataset, "costs $5, _really_ $x")
    figure = plot.FIGURES["loss"](dataset, events, [run])
    line = line_with(figure.axes[0], run["loss"].values)
    assert line.get_linestyle() == "--"
    assert plot.rendered(figure, "png")  # the label is text, not mathematics
    caption = plot.FIGURES["loss"].caption(
        plot.Drawing(dataset, events, [run, run.drop_vars("loss").assign_attrs(label="other")])
    )
    assert "costs $5, _really_ $x" in caption
    assert "Not drawn for lack of loss: other" in caption


def test_diverging_descent_does_not_set_the_scale(dataset, events):
    wild = discrete(dataset, factor=1.0)
    wild["loss"][10:] = 10.0 ** np.linspace(0, 308, wild.sizes["time"] - 10)
    wild["loss"][-3:] = np.inf
    (calm,) = plot.FIGURES["loss"](dataset, events).axes
    figure = plot.FIGURES["loss"](dataset, events, [wild])
    decades = np.diff(np.log10(figure.axes[0].get_ylim()))
    assert decades <= 1.7 * np.diff(np.log10(calm.get_ylim()))
    assert plot.rendered(figure, "png")


def test_error_band_only_where_it_shows(dataset, events):
    for size, bands in ((1e-9, 0), (0.3, 3)):
        data = dataset[["mlp_alignment"]]
        data = data.assign(mlp_alignment_error=0 * data["mlp_alignment"] + size)
        (axes,) = plot.FIGURES["alignment"](data, events).axes
        assert len(axes.collections) == bands


def test_ensemble_gives_median_and_band(dataset, events):
    seeds = xarray.concat([dataset[["loss"]] * factor for factor in (1.0, 3.0, 2.0, 4.0, 5.0)], dim="seed")
    (axes,) = plot.FIGURES["loss"](seeds, events).axes
    line_with(axes, 3 * dataset["loss"].values[1:])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(band.max(), 4.6 * dataset["loss"].values[1:].max())  # 90 % of 1 … 5 by linear interpolation
    assert "5 seeds" in plot.FIGURES["loss"].caption(plot.Drawing(seeds, events))


def test_sensitivities_have_the_markers_of_their_legend(dataset, events):
    """The legend had markers, the curves had none."""
    figure = plot.FIGURES["sensitivity"](dataset, events)
    (legend,) = figure.legends
    for entry, column in zip(legend.get_lines(), dataset["loss_derivative"].values.T, strict=True):
        assert line_with(figure.axes[0], column).get_marker() == entry.get_marker()


def test_invariants_of_flow_and_descent(dataset, events):
    run = discrete(dataset)
    figure = plot.FIGURES["invariants"](dataset, events, [run])
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    line_with(axes, dataset["invariant_key_query"].values[1:])
    line_with(axes, run["invariant_key_query"].values)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gradient flow", run.attrs["label"]]


def test_structure_names_heads_below_and_blocks_in_their_panel(dataset, events):
    figure = plot.FIGURES["structure"](dataset, events)
    heads, blocks = figure.axes
    for i in range(2):
        line_with(heads, dataset["attention_entropy"].values[1:, i])
        line_with(blocks, dataset["block_norm"].values[1:, i])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["head 1.1", "head 1.2"]
    assert [text.get_text() for text in blocks.get_legend().get_texts()] == ["block 1", "block 2"]
    assert "first head of the second layer" in plot.figures.structure.caption(plot.Drawing(dataset, events))
