"""Saddles on the way of a flow: known heights, indices and directions."""

import itertools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import gallery

STRENGTHS = np.array([4.0, 2.0, 1.0])


class Landscape(eqx.Module):
    """One of three risks of three numbers: a quadratic bowl, a slope with a flat passage, three cubes to be fitted.

    Which one is an array, so that they share their programs.
    """

    which: jax.Array

    def __call__(self, x):
        return jax.lax.switch(self.which, [self.bowl, self.passage, self.cubes], x)

    @staticmethod
    def bowl(x):
        return jnp.sum(jnp.array([1.0, 5.0, 2.0]) * x**2) / 2

    @staticmethod
    def passage(x):
        """Along x₀ its slope is (x₀² + 0.1)(x₀ + 2): least near 0, where it is 0.2, and 0 at -2 only."""
        return x[0] ** 4 / 4 + 2 * x[0] ** 3 / 3 + x[0] ** 2 / 20 + x[0] / 5 + jnp.sum(x[1:] ** 2) / 2

    @staticmethod
    def cubes(x):
        return jnp.sum((x**3 - STRENGTHS) ** 2) / 2


def passed(name, start, t1):
    """A run through one of these landscapes, and its phases."""
    which = jnp.asarray(["bowl", "passage", "cubes"].index(name))
    problem = flowsim.Problem.from_loss(Landscape(which), jnp.asarray(start))
    result = flowsim.simulate(problem, t1=t1, events=[flowsim.events.saddle()])
    loss, saddles = float(result.trajectory.values["loss"][0]), result.events["saddle"].crossings
    return result, flowsim.events.phases(saddles, loss=loss, end=t1, final=result.final["loss"])


def diagonal(scale):
    """½‖u² - v² - c‖²: one coordinate after the other is learned, the largest first."""
    ones = scale * jnp.ones(3)
    return flowsim.Problem.from_loss(
        lambda p: jnp.sum((p["u"] ** 2 - p["v"] ** 2 - STRENGTHS) ** 2) / 2, {"u": ones, "v": ones}
    )


@pytest.fixture(scope="module", name="run")
def _run():
    probes = {"coordinates": lambda p: p["u"] ** 2 - p["v"] ** 2}
    return flowsim.simulate(diagonal(1e-7), t1=40.0, events=[flowsim.events.saddle()], probes=probes)


def test_plateaus_of_a_diagonal_network(run):
    """Heights ½ Σ c² over what is not yet learned; the index falls by one from saddle to saddle."""
    found = [c for c in run.events["saddle"].crossings if c.time > 0.1]
    heights = [np.sum(STRENGTHS[k:] ** 2) / 2 for k in (1, 2)]
    for crossing, height, index in zip(found, heights, (2, 1), strict=True):
        assert crossing.values["loss"] == pytest.approx(height, rel=0.01)
        assert abs(crossing.values["loss"] - height) <= 2 * crossing.values["height_error"]
        assert crossing.values["index"] == index
        assert crossing.values["lowest"][0] == pytest.approx(-2 * STRENGTHS[3 - index], rel=0.01)


def test_minima_of_the_gradient_norm(run):
    """Each event is one: the saved norm is no smaller near by."""
    ds = run.dataset
    for crossing in run.events["saddle"].crossings:
        if crossing.time > 0.1:
            near = ds.gradient_norm[(ds.time > 0.8 * crossing.time) & (ds.time < 1.2 * crossing.time)]
            assert crossing.values["gradient_norm"] <= float(near.min()) * (1 + 1e-6)


def test_phases(run):
    cut = flowsim.events.phases(run.events["saddle"].crossings, loss=10.5, end=40.0)
    assert cut[0].start == 0
    assert cut[-1].end == 40
    assert [p.index for p in cut[-2:]] == [2, 1]
    assert all(a.end == b.start and a.height > b.height for a, b in itertools.pairwise(cut) if b.start > 0.1)


def test_deep_linear_network():
    """Two layers of width 3: at the saddle with k modes learned the index is (3 - k)²."""
    keys = jax.random.split(jax.random.key(0), 2)
    start = [1e-6 * jax.random.normal(key, (3, 3)) for key in keys]
    problem = flowsim.Problem.from_loss(lambda p: jnp.sum((p[1] @ p[0] - jnp.diag(STRENGTHS)) ** 2) / 2, start)
    result = flowsim.simulate(problem, t1=60.0, events=[flowsim.events.saddle()])
    found = [c for c in result.events["saddle"].crossings if c.time > 0.5]
    for crossing, k in zip(found, (1, 2), strict=True):
        assert crossing.values["loss"] == pytest.approx(np.sum(STRENGTHS[k:] ** 2) / 2, rel=0.01)
        assert crossing.values["index"] == (3 - k) ** 2
    assert found[0].values["overlap"] > 0.9  # it leaves along the lowest eigenvalue, -λ₂, twice there


@pytest.mark.slow
def test_degenerate_saddles_have_heights():
    """Three layers of width one for each mode: the curvature vanishes at the saddles with the start, the index is 0."""
    _, cut = passed("cubes", [0.01, 0.01, 0.01], 60.0)
    plateaus = [phase for phase in cut if phase.start > 1.0]
    assert [phase.index for phase in plateaus] == [0, 0]
    for phase, k in zip(plateaus, (1, 2), strict=True):
        height = np.sum(STRENGTHS[k:] ** 2) / 2
        assert phase.height == pytest.approx(height, rel=0.01)
        assert abs(phase.height - height) <= 10 * phase.height_error < 0.1 * height


@pytest.mark.slow
def test_plateaus_of_linear_attention():
    """In-context regression (Zhang et al. 2025) with rank-one heads: L_m for each of the first directions learned."""
    module, key = gallery.module("zhang2025"), jax.random.key(0)
    paper = module.Zhang2025(kind="zhang2025")
    start = paper.problem(key).parameters["random"]
    problem = flowsim.Problem.from_loss(lambda heads: paper.risk(module.matrix(heads), key), start)
    result = flowsim.simulate(problem, t1=1e4, rtol=1e-7, atol=1e-10, events=[flowsim.events.saddle()])
    cut = flowsim.events.phases(result.events["saddle"].crossings, loss=1.0, end=1e4, final=result.final["loss"])
    heights = paper.plateaus()
    for phase, height in zip([phase for phase in cut if phase.start > 1], heights[1:-1], strict=True):
        assert phase.height == pytest.approx(height, rel=0.01)
        assert abs(phase.height - height) <= 2 * phase.height_error
    assert result.final["loss"] == pytest.approx(heights[-1], rel=1e-6)


@pytest.mark.slow
def test_narrow_passages_begin_no_phase():
    """The gradient's norm has a minimum on the way, far from any stationary point."""
    result, cut = passed("passage", [1.5, 0.01, 0.0], 100.0)
    assert len(result.events["saddle"].times) == 1
    assert len(cut) == 1


def test_convergence_is_no_saddle():
    """The bowl, run down to rounding: the norm of its gradient only falls."""
    result, _ = passed("bowl", [1.0, 1.0, 1.0], 100.0)
    assert result.events["saddle"].times == []


@pytest.mark.slow
def test_lanczos_counts_what_the_whole_matrix_shows():
    """Above 256 parameters: separate coordinates, of which seven fall away from 0."""
    curvature = jnp.concatenate([-jnp.arange(1.0, 4.0), jnp.linspace(0.5, 2.0, 300)])
    problem = flowsim.Problem.from_loss(
        lambda x: jnp.sum(curvature * x**2) / 2 + jnp.sum(x**4) / 4, jnp.full(303, 1e-6).at[3:].set(1.0)
    )
    result = flowsim.simulate(problem, t1=8.0, events=[flowsim.events.saddle(count=4)])
    values = result.events["saddle"].crossings[0].values
    np.testing.assert_allclose(values["lowest"][:3], [-3, -2, -1], atol=0.02)
    assert values["index"] == 3
    assert values["index_exact"] == 0


def test_refusals():
    with pytest.raises(ValueError, match="threshold must be in"):
        flowsim.events.saddle(threshold=2.0)
    with pytest.raises(ValueError, match="steps"):
        flowsim.events.saddle(count=10, steps=4)


TEXT = """name: small
task: {kind: regression, samples: 8, features: 2, outputs: 2}
model: {kind: deep_linear, hidden: [2]}
loss: squared
flow: {kind: gradient, t1: 5.0}
events: [{kind: saddle}]
probes: [{kind: hessian_spectrum, count: 2, steps: 8}, {kind: ntk, count: 2}]
save: {points: 8, spacing: log, first: 1.0e-2}
certificate: false
figures: [loss]
"""


@pytest.mark.slow
def test_from_an_experiment_file(tmp_path):
    from flowsim.config import load
    from flowsim.experiment import build
    from flowsim.result.summary import summarized

    (tmp_path / "e.yaml").write_text(TEXT)
    experiment = load(tmp_path / "e.yaml", ())
    prepared = build.prepared(experiment, build.problem(experiment, tmp_path))
    result = flowsim.result.assemble(prepared, flowsim.simulation.run(prepared))
    assert {"hessian_spectrum", "hessian_residual", "ntk_spectrum", "ntk_alignment"} <= set(result.dataset)
    assert "saddle" in summarized(result, "small").events


def test_phases_of_a_summary(run):
    from flowsim.result.summary import summarized

    summary = json.loads(json.dumps(summarized(run, "diagonal").record()))
    assert [phase["index"] for phase in summary["phases"][-2:]] == [2, 1]
    assert len(summary["events"]["saddle"]["lowest"]) == 6
