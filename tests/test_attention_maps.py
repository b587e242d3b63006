"""Attention maps: the probe is the model's attention, the strip and the film show the data."""

import dataclasses
import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from PIL import Image, ImageSequence

import flowsim
from flowsim import plot
from flowsim.config import ExperimentErrors, load
from flowsim.config.load import load_text
from flowsim.experiment.build import prepared, problem
from flowsim.moment import Lift, Moment
from flowsim.report.page import Illustration, page
from flowsim.store import Summary

LANGUAGE = flowsim.tasks.next_token(samples=5, length=4, vocabulary=5, key=jax.random.key(0))
OPTIONS = {"readout": "each", "outputs": 5, "causal": True, "residual": True, "neurons": None, "vocabulary": 5}


def two_layers(**options):
    model = flowsim.models.Transformer(layers=2, heads=2, width=4, **OPTIONS | options, key=jax.random.key(1))
    return flowsim.Problem(model, LANGUAGE, loss=flowsim.losses.cross_entropy)


def maps_of(problem, sample=None):
    result = flowsim.simulate(
        problem,
        t1=1.0,
        solver="bosh3",
        rtol=1e-3,
        atol=1e-5,
        save_times=[0.5],
        probes={"attention_map": flowsim.probes.attention_map(sample)},
    )
    assert result.status.ok
    return result.dataset["attention_map"], result.model


@pytest.mark.slow
def test_map_is_the_models_attention():
    maps, model = maps_of(two_layers(), 3)
    assert maps.dims == ("time", "head", "key_position", "query_position")
    assert list(maps["head"].values) == ["1.1", "1.2", "2.1", "2.2"]
    expected = model.attention(LANGUAGE.tokens[3])
    for layer in range(2):
        for head in range(2):
            here = maps.isel(time=-1).sel(head=f"{layer + 1}.{head + 1}")
            np.testing.assert_allclose(here.values, expected[layer, head], rtol=1e-12)
    np.testing.assert_allclose(maps.sum("key_position"), 1.0, rtol=1e-12)
    assert np.all(np.tril(maps.values, -1) == 0)  # a query sees no later key


def measured(problem, sample=None):
    """The probe at the start, without a run."""
    probe = flowsim.probes.attention_map(sample)
    moment = Moment(problem, jnp.zeros(()), problem.parameters, Lift(problem, None))
    return eqx.filter_jit(lambda probe, moment: probe.measure(moment))(probe, moment)


@pytest.mark.parametrize("reduction", ["rotation", "gram", "none"])
def test_mean_map_of_the_papers_model_in_any_coordinates(reduction):
    task = flowsim.tasks.cooccurrence(samples=6, length=4, vocabulary=8, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=12, neurons=6, key=jax.random.key(1))
    reduced = flowsim.reductions.reduce(flowsim.Problem(model, task), reduction).problem
    expected = jnp.mean(jax.vmap(model.attention)(jnp.asarray(task.tokens)), axis=0)
    np.testing.assert_allclose(measured(reduced)[0], expected, rtol=1e-12)


def test_what_has_no_map_is_refused():
    with pytest.raises(ValueError, match="there is no sample 5; the last one is 4"):
        measured(two_layers(), 5)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        flowsim.probes.attention_map(-1)
    mlp = flowsim.models.MLP(sizes=(3, 2, 1), key=jax.random.key(0))
    task = flowsim.tasks.regression(samples=4, features=3, key=jax.random.key(1))
    with pytest.raises(ValueError, match="not of MLP"):
        measured(flowsim.Problem(mlp, task, loss=flowsim.losses.squared))


def moving(values):
    """A dataset of maps (time, head, key, query)."""
    times, heads, length, _ = values.shape
    dims = ("time", "head", "key_position", "query_position")
    coordinates = {
        "time": np.concatenate([[0], np.geomspace(0.1, 10, times - 1)]),
        "head": [f"1.{i + 1}" for i in range(heads)],
    }
    return xarray.Dataset({"attention_map": (dims, values)}, coords=coordinates | {d: range(length) for d in dims[2:]})


def test_strip_shows_the_maps_where_they_move():
    rng = np.random.default_rng(0)
    start, end = rng.uniform(size=(2, 2, 3, 3))
    weight = np.clip((np.arange(30) - 20) / 5, 0, 1)[:, None, None, None]  # at rest but for times 20 … 25
    data = moving((1 - weight) * start + weight * end)
    figure = plot.FIGURES["attention_maps"](data, {})
    strip = [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    shown = [np.asarray(axes.images[0].get_array()) for axes in strip]
    assert len(shown) == 2 * 6
    for row in range(2):  # query down, key across; equal parts of the way
        for column, part in enumerate(np.linspace(0, 1, 6)):
            expected = ((1 - part) * start[row] + part * end[row]).T
            np.testing.assert_allclose(shown[6 * row + column], expected, atol=1e-12)
    assert {axes.images[0].get_clim() for axes in strip} == {(0.0, data["attention_map"].values.max())}


def test_maps_at_rest_and_of_both_signs():
    still = moving(np.full((5, 1, 2, 2), 0.5))
    assert len([a for a in plot.FIGURES["attention_maps"](still, {}).axes if a.images]) == 2
    signed = plot.FIGURES["attention_maps"](
        moving(np.linspace(-1, 3, 5)[:, None, None, None] * np.ones((5, 1, 2, 2))), {}
    )
    assert signed.axes[0].images[0].get_clim() == (-3, 3)


@pytest.mark.slow
def test_film_moves_and_is_the_same_each_time():
    data = moving(np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, 1, 2, 2)))
    drawing = plot.Drawing(data, {"phase1_end": {"time": 1.0}})
    first, second = (plot.figures.attention_maps.animation(drawing) for _ in range(2))
    assert first == second
    film = Image.open(io.BytesIO(first))
    assert "loop" in film.info
    frames = [np.asarray(frame.convert("L"), float) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 5
    middle = [frame[film.height // 2, film.width // 3] for frame in frames]
    assert np.all(np.diff(middle) < 0)  # more attention is darker


def test_report_folds_the_film_away():
    gif = b"GIF89a" + (300).to_bytes(2, "little") + (200).to_bytes(2, "little")
    png = b"\x89PNG" + bytes(12) + (400).to_bytes(4, "big") + (100).to_bytes(4, "big")
    still = Illustration("attention_maps", "A caption.", png)
    text = page(Summary(), [dataclasses.replace(still, gif=gif)], "", "", {})
    assert '<details><summary>Show it in motion</summary><img src="data:image/gif;base64,' in text
    assert 'width="300" height="200"' in text
    assert "data:image/gif" not in page(Summary(), [still], "", "", {})


EXPERIMENT = """name: maps
task: {kind: cooccurrence, samples: 12, length: 5, vocabulary: 10}
model: {kind: transformer, width: 8, neurons: 8}
flow: {t1: 5.0}
"""


def test_maps_in_an_experiment(tmp_path):
    plain = load_text(EXPERIMENT, origin="x.yaml")
    assert "attention_maps" not in [figure.kind for figure in plain.figures]
    asked = load_text(EXPERIMENT + "probes: [{kind: attention_map, sample: 2}]\n", origin="x.yaml")
    assert asked.figures[:-1] == plain.figures
    assert asked.figures[-1].kind == "attention_maps"
    one = load_text(EXPERIMENT + "probes: [attention_map]\nfigures: [loss]\n", origin="x.yaml")
    assert [figure.kind for figure in one.figures] == ["loss"]
    assert prepared(asked, problem(asked, tmp_path)).plan.probes[-1].measure.sample == 2


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        ("[{kind: attention_map, sample: 12}]", r"x.yaml:5:40 probes\[0\].sample: must be below task.samples = 12"),
        ("[{kind: attention_map, sample: -1}]", "must be"),
        ("[attention_map, attention_map]", r"probes\[1\]: must be listed once, and attention_map is there already"),
    ],
)
def test_what_an_experiment_may_not_ask(probes, said):
    with pytest.raises(ExperimentErrors, match=said):
        load_text(EXPERIMENT + f"probes: {probes}\n", origin="x.yaml")


def test_models_without_attention(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("""name: none
task: {kind: regression, samples: 8, features: 3}
model: {kind: mlp, hidden: [4]}
loss: squared
events: []
flow: {t1: 1.0}
probes: [attention_map]
""")
    with pytest.raises(ExperimentErrors, match="attention of the model mlp is not known"):
        load(path)
