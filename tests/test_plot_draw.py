"""`plot.draw`: one figure of a result, a folder or a dataset, in the size and the axes that are asked for."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import flowsim
from flowsim import plot
from flowsim._files import write_dataset, write_json

from .figure_data import discrete


@pytest.fixture(scope="module", name="result")
def _result():
    problem = flowsim.Problem.from_loss(lambda p: 0.5 * jnp.sum(p["x"] ** 2), {"x": jnp.array([1.0, 2.0])})
    half = flowsim.events.crossing("half", lambda t, p: p["x"][0] - 0.5, direction="down")
    probes = {"norm": lambda p: jnp.sum(p["x"] ** 2), "both": lambda p: p["x"]}
    return flowsim.simulate(problem, t1=4.0, probes=probes, events=[half])


@pytest.fixture(scope="module", name="folder")
def _folder(dataset, events, tmp_path_factory):
    """A run folder with one run of descent, as `store` writes it."""
    folder = tmp_path_factory.mktemp("runs") / "a run"
    (folder / "discrete").mkdir(parents=True)
    write_json(folder / "meta.json", {"name": "a run"})
    write_json(folder / "summary.json", {"name": "a run", "events": events, "complete": True, "status": "done"})
    write_dataset(folder / "trajectory.nc", dataset)
    write_dataset(folder / "discrete" / "00.nc", discrete(dataset))
    return folder


def test_one_figure_of_whatever_holds_a_run(result):
    for run in (result, result.dataset):
        (axes,) = plot.draw(run, "loss").axes
        assert np.array_equal(axes.lines[0].get_ydata(), result.dataset["loss"].values[1:])


def test_as_a_table(result):
    frame = result.to_dataframe()
    assert frame.index.name == "time"
    assert np.array_equal(frame["loss"], result.dataset["loss"])
    axis = result.dataset["both"].dims[1]
    assert np.array_equal(frame[f"both[{axis}=1]"], result.dataset["both"].values[:, 1])
    assert len(frame) == result.dataset.sizes["time"]


def test_any_probe_by_its_name(result):
    figure = plot.draw(result, "both", time_axis="linear")
    (axes,) = figure.axes
    for index, line in enumerate(axes.lines[:2]):
        assert np.array_equal(line.get_ydata(), result.dataset["both"].values[:, index])
    assert len(figure.legends[0].get_texts()) == 2
    assert plot.draw(result, "norm").axes[0].get_yscale() == "log"  # it falls from 5 to 5 exp(-8)
    caption = plot.values.kind("both").caption(plot.Drawing(result.dataset))
    assert "against time" in caption


@pytest.mark.slow
def test_a_matrix_has_short_labels_and_a_legend_that_fits():
    """Four entries in three columns ran over both edges of the figure."""
    names = {"time": np.linspace(0, 1, 9)}
    both = {"w": (("time", "w_axis_0", "w_axis_1"), np.ones((9, 2, 2))),
            "v": (("time", "first_index", "second_index"), np.ones((9, 2, 2)))}  # fmt: skip
    data = xarray.Dataset(both, coords=names)
    labels = [text.get_text() for text in plot.draw(data, "w").legends[0].get_texts()]
    assert labels == ["w[0, 0]", "w[0, 1]", "w[1, 0]", "w[1, 1]"]
    figure = plot.draw(data, "v")
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_folder_brings_its_events_and_its_descent(folder, events):
    for run in (folder, str(folder), flowsim.load(folder)):
        figure = plot.draw(run, "loss")
        time = events["phase1_end"]["time"]
        assert any(np.array_equal(line.get_xdata(), [time, time]) for line in figure.axes[0].lines)
        loaded = flowsim.load(folder)
        figure_of_parts = plot.FIGURES["loss"](loaded.dataset, loaded.events)
        assert any(np.array_equal(line.get_xdata(), [time, time]) for line in figure_of_parts.axes[0].lines)
        assert "sgd, learning rate 0.01" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "record", [0.2, [0.2, 0.4], np.array([0.2]), {"time": 0.2, "times": [0.2]}, None, [], {"time": None}]
)
def test_events_in_every_form(dataset, record):
    figure = plot.FIGURES["loss"](dataset, {"phase1_end": record})
    drawn = any(np.array_equal(line.get_xdata(), [0.2, 0.2]) for line in figure.axes[0].lines)
    assert drawn == (record is not None and np.size(record) > 0 and record != {"time": None})


def test_axes_of_ones_own(dataset):
    own = Figure()
    left, right = own.subplots(1, 2)
    assert plot.draw(dataset, "loss", ax=left) is own
    assert len(left.lines) == 5
    assert not right.lines
    assert left.get_legend() is not None
    with pytest.raises(ValueError, match=r"has 2 panels, ax= holds 1 axes; give a sequence of 2"):
        plot.draw(dataset, "attention", ax=left)
    plot.draw(dataset, "attention", ax=[left, right])
    with pytest.raises(ValueError, match="lays out its panels itself"):
        plot.draw(dataset, "attention_maps", ax=left)


def test_size_and_style(dataset):
    assert plot.draw(dataset, "loss", width="column").get_figwidth() == pytest.approx(3.4)
    tall, wide = plot.draw(dataset, "alignment"), plot.draw(dataset, "alignment", width="page")
    assert wide.get_figwidth() == pytest.approx(6.9)
    assert wide.get_figheight() / tall.get_figheight() > 1.7  # keeps its proportions
    assert plot.draw(dataset, "alignment", width=5.0, height=2.0).get_size_inches() == pytest.approx([5.0, 2.0])
    assert plot.draw(dataset, "loss", style={"axes.facecolor": "#112233"}).axes[0].get_facecolor() == to_rgba("#112233")
    styled = plot.draw(dataset, "loss", style=["dark_background", {"lines.linewidth": 9.0}])
    assert styled.get_facecolor() == to_rgba("black")


def test_time_axis_is_as_the_times_were_saved(dataset):
    even = dataset.interp(time=np.linspace(0.0, 1.0, 21))
    assert plot.draw(even, "loss").axes[0].get_xscale() == "linear"
    assert plot.draw(dataset, "loss").axes[0].get_xscale() == "log"
    assert plot.draw(even, "loss", time_axis="log").axes[0].get_xscale() == "log"
    record = plot.FIGURES["loss"].styled(time_axis="linear")
    assert record(dataset).axes[0].get_xscale() == "linear"


def test_seeds_as_lines(dataset):
    seeds = xarray.concat([dataset[["loss"]] * factor for factor in (1.0, 2.0, 3.0)], dim="seed")
    (axes,) = plot.draw(seeds, "loss", seeds="lines").axes
    assert len(axes.lines) == 4
    assert not axes.collections
    for index, factor in enumerate((1.0, 2.0, 3.0)):
        assert np.array_equal(axes.lines[index].get_ydata(), factor * dataset["loss"].values[1:])


def test_descent_from_python_lies_over_the_flow(result):
    problem = flowsim.Problem.from_loss(lambda p: 0.5 * jnp.sum(p["x"] ** 2), {"x": jnp.array([1.0, 2.0])})
    steps = flowsim.descent.descend(problem, optax.sgd(0.1), learning_rate=0.1, steps=20)
    figure = plot.draw(result, "loss", descent=[steps])
    assert "η = 0.1" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(figure.axes[0].lines) == len(plot.draw(result, "loss").axes[0].lines) + 1


def test_many_runs_of_descent_are_told_apart(dataset, events):
    runs = [discrete(dataset, f"run {i}", 1 + 0.01 * i) for i in range(4)]
    figure = plot.FIGURES["loss"](dataset, events, runs)
    drawn = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.8 and len(line.get_xdata()) > 2]
    assert len(drawn) == 4  # the loss of all samples, not of every group
    assert len({line.get_color() for line in drawn}) == 4


def test_lines_in_an_order_have_colors_of_their_own():
    looks = plot.style.series([f"mode {i}" for i in range(12)])
    assert len({look.color for look in looks}) == 12


def test_a_notebook_shows_it(dataset):
    assert plot.draw(dataset, "loss")._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"figure": "losss"}, r"no figure or probe 'losss'; did you mean 'loss'\? figures: .*loss, .*; probes .*loss"),
        ({"time_axis": "cubic"}, "time_axis must be 'auto', 'log' or 'linear', got 'cubic'"),
        ({"width": "huge"}, "width must be 'column', 'page' or inches"),
        ({"height": -1.0}, "height must be between 0 and 100 inches"),
        ({"seeds": "all"}, "seeds must be 'band' or 'lines'"),
    ],
)
def test_mistakes(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.draw(dataset, **arguments)


def test_what_is_no_run(tmp_path):
    with pytest.raises(ValueError, match="cannot draw int: give a result"):
        plot.draw(3)
    with pytest.raises(flowsim.store.StoreError, match="not a run folder"):
        plot.draw(tmp_path)


@pytest.mark.slow
def test_reachable_as_the_docs_say():
    code = "import flowsim, sys; sys.exit(0 if 'loss' in flowsim.plot.FIGURES else 1)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
