"""Many seeds at once: each the same as its own run."""

import jax
import numpy as np
import pytest

import flowsim
from flowsim import ensemble

SEEDS = (3, 1, 4, 15)


def make(seed):
    keys = jax.random.split(jax.random.key(seed), 2)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    return flowsim.Problem(flowsim.models.CooccurrenceTransformer(vocabulary=8, width=20, neurons=6, key=keys[1]), task)


@pytest.fixture(scope="module")
def many():
    return ensemble.simulate(make, SEEDS, t1=30.0, events=[flowsim.events.phase1_end()], workers=2)


def test_every_member_equals_its_own_run(many):
    assert many.seeds == SEEDS
    assert many.ok
    for seed, member in zip(SEEDS[:2], many.members, strict=False):
        alone = flowsim.simulate(make(seed), t1=30.0, events=[flowsim.events.phase1_end()], reduction="rotation")
        assert member.solver.vector_field_evaluations == alone.solver.vector_field_evaluations
        assert member.events["phase1_end"].time == pytest.approx(alone.events["phase1_end"].time, rel=1e-12)
        np.testing.assert_allclose(member.trajectory.values["loss"], alone.trajectory.values["loss"], rtol=1e-12)


def test_dataset_has_a_seed_dimension(many):
    dataset = many.dataset
    assert dataset["loss"].dims == ("seed", "time")
    assert list(dataset["seed"].values) == list(SEEDS)
    for index, member in enumerate(many.members):
        np.testing.assert_array_equal(
            dataset["attention_score"].values[index], member.trajectory.values["attention_score"]
        )
    times = [member.events["phase1_end"].time for member in many.members]
    np.testing.assert_array_equal(dataset["event_phase1_end"].values, times)


def test_members_that_end_early_are_not_paid_for():
    stop = flowsim.events.phase1_end(terminal=True)
    result = ensemble.simulate(make, SEEDS, t1=30.0, events=[stop], workers=2)
    loss = result.dataset["loss"]
    for seed, member in zip(SEEDS, result.members, strict=True):
        end = member.events["phase1_end"].time
        assert member.trajectory.time[-1] == end
        row = loss.sel(seed=seed)
        assert np.isfinite(row.values[row.time.values < end]).all()
        assert np.isnan(row.values[row.time.values > end]).all()
    assert np.isfinite(loss.values).any(axis=0).all()


def test_quantiles_count_seeds_without_the_event_as_later_than_all():
    event = ensemble.EventTimes("e", "", np.array([2.0, np.nan, 1.0, 3.0, np.nan]))
    assert event.fired == 3
    assert event.quantile(0.0) == 1.0
    assert event.quantile(0.25) == 2.0
    assert event.quantile(0.5) == 3.0
    assert event.quantile(0.75) is None


def test_experiment_over_seeds(tmp_path):
    import json
    import pathlib

    import xarray

    from flowsim.experiment import load_text
    from flowsim.experiment.run import run_experiment

    text = (
        "name: many\nseeds: 3\ntask: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}\n"
        "model: {kind: cooccurrence_transformer, width: 20, neurons: 6}\nflow: {kind: gradient, t1: 30.0}\n"
        "save: {points: 10}\nfigures: [loss]\n"
    )
    experiment = load_text(text, origin="many.yaml", folder=pathlib.Path())
    outcome = run_experiment(experiment, source_text=text, source_folder=pathlib.Path(), folder=tmp_path / "out")
    assert outcome.ok
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    with xarray.open_dataset(tmp_path / "out" / "trajectory.nc") as dataset:
        assert dict(dataset["loss"].sizes) == {"seed": 3, "time": 11}
        assert summary["events"]["phase1_end"]["time"] == pytest.approx(float(dataset["event_phase1_end"].median()))
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.fixture(scope="module")
def batched():
    options = {"t1": 30.0, "events": [flowsim.events.phase1_end()], "certificate": True, "machinery": "vmap"}
    return ensemble.simulate(make, SEEDS, batch=3, **options)  # the second batch holds one member and two copies


def test_members_of_a_batch_equal_their_own_runs(batched, many):
    for member, alone in zip(batched.members, many.members, strict=True):
        assert member.seed == alone.seed
        assert member.status == alone.status
        assert member.solver.steps == alone.solver.steps
        assert member.events["phase1_end"].time == pytest.approx(alone.events["phase1_end"].time, rel=1e-11)
        np.testing.assert_array_equal(member.trajectory.time, alone.trajectory.time)
        for name, values in alone.trajectory.values.items():
            scale = np.abs(values).max()
            np.testing.assert_allclose(member.trajectory.values[name], values, rtol=0, atol=1e-10 * scale + 1e-14)
