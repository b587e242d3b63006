"""Many seeds at once: each the same as its own run."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import flowsim
from flowsim import ensemble
from flowsim.config import Source, load_text
from flowsim.ensemble.stack import Stack
from flowsim.experiment import build
from flowsim.experiment.run import run_experiment
from flowsim.store import StoreError
from flowsim.sweep import Sweep, expand, states
from flowsim.sweep import ensemble as over
from flowsim.sweep.collect import collect
from flowsim.sweep.stored import Folders

LONG_FIXTURES = ("many", "batched", "finished")  # what uses them is slow

SEEDS = (3, 1, 4, 15)
RUN = {"t1": 30.0, "solver": "tsit5"}  # compiles in half the time of the default


def make(seed):
    keys = jax.random.split(jax.random.key(seed), 2)
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=keys[0])
    return flowsim.Problem(flowsim.models.CooccurrenceTransformer(vocabulary=8, width=20, neurons=6, key=keys[1]), task)


@pytest.fixture(scope="module")
def many():
    return ensemble.simulate(make, SEEDS, **RUN, events=[flowsim.events.phase1_end()], certificate=True, workers=2)


def test_every_member_equals_its_own_run(many):
    assert many.seeds == SEEDS
    assert many.ok
    for seed, member in zip(SEEDS[:2], many.members, strict=False):
        alone = flowsim.simulate(make(seed), **RUN, events=[flowsim.events.phase1_end()], reduction="rotation")
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


@pytest.mark.slow
def test_members_that_end_early_are_not_paid_for():
    stop = flowsim.events.phase1_end(terminal=True)
    result = ensemble.simulate(make, SEEDS, **RUN, events=[stop], workers=2)
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


@pytest.fixture(scope="module")
def batched():
    options = {**RUN, "events": [flowsim.events.phase1_end()], "certificate": True, "backend": "vmap"}
    return ensemble.simulate(make, SEEDS, batch=3, **options)  # the second batch holds one member and two copies


def test_members_of_a_batch_equal_their_own_runs(batched, many):
    for member, alone in zip(batched.members, many.members, strict=True):
        assert member.seed == alone.seed
        assert member.status == alone.status
        assert member.solver.steps == alone.solver.steps
        assert member.events["phase1_end"].time == pytest.approx(alone.events["phase1_end"].time, rel=1e-11)
        np.testing.assert_array_equal(member.trajectory.time, alone.trajectory.time)
        for name, values in alone.trajectory.values.items():
            scale = 1.0 if name.startswith("invariant_") else np.abs(values).max()  # a drift is an error already
            np.testing.assert_allclose(member.trajectory.values[name], values, rtol=0, atol=1e-10 * scale)


def test_members_of_a_batch_have_the_certificates_of_their_own_runs(batched, many):
    """The same evidence: a second run, also step by step together."""
    assert batched.certified
    assert many.certified
    for member, alone in zip(batched.members, many.members, strict=True):
        assert member.certificate.relative_error == pytest.approx(alone.certificate.relative_error, rel=0.05)
        assert member.certificate.evaluations == alone.certificate.evaluations
        assert member.certificate.method == alone.certificate.method
        assert 0 < member.events["phase1_end"].uncertainty < 1e-7
    np.testing.assert_array_equal(
        many.dataset["relative_error"], [member.certificate.relative_error for member in many.members]
    )


def test_curves_of_members_have_the_bands_of_their_own_runs(batched, many):
    dataset = many.dataset
    assert dataset["loss_error"].dims == ("seed", "time")
    assert dataset["loss_error"].attrs["long_name"] == f"error bound of {dataset['loss'].attrs['long_name']}"
    assert not [name for name in dataset if name.startswith("invariant_") and name.endswith("_error")]
    for i, (member, alone) in enumerate(zip(batched.members, many.members, strict=True)):
        assert member.certificate.probe_errors.keys() == alone.certificate.probe_errors.keys()
        for name, band in alone.certificate.probe_errors.items():
            np.testing.assert_array_equal(dataset[f"{name}_error"].values[i], band)
            own = member.certificate.probe_errors[name]
            np.testing.assert_allclose(own, band, rtol=0.1, atol=1e-9 * np.abs(alone.trajectory.values[name]).max())
            np.testing.assert_array_equal(batched.dataset[f"{name}_error"].values[i], own)


@pytest.mark.slow
def test_bands_of_members_that_end_early_or_have_none():
    """NaN stands after an event that ends a run, and for one that passes a kink, at 0.3."""

    def made(start):
        return flowsim.Problem.from_loss(lambda x: _growth(x) - 2 * jnp.maximum(x[0] - 0.3, 0), start)

    options = GROWTH | {"save_times": [0.02, 0.05, 0.1, 1.0], "t1": 2.0, "events": [half(terminal=True)]}
    result = ensemble.simulate(made, jnp.asarray([[0.5], [0.65], [0.1], [0.31]]), **options, certificate=True)
    dataset = result.dataset
    for member, value, band in zip(result.members, dataset["loss"].values, dataset["loss_error"].values, strict=True):
        if member.certificate.withheld:
            assert np.isnan(band).all()
            continue
        np.testing.assert_array_equal(np.isnan(band), np.isnan(value))
        saved = np.isin(member.trajectory.time, dataset["time"])
        np.testing.assert_array_equal(band[~np.isnan(band)], member.certificate.probe_errors["loss"][saved])
    assert [bool(member.certificate.withheld) for member in result.members] == [False, False, True, False]


@pytest.mark.slow
def test_a_batch_waits_at_terminal_events():
    stop = flowsim.events.phase1_end(terminal=True)
    result = ensemble.simulate(make, SEEDS, **RUN, events=[stop], backend="vmap")
    for member in result.members:
        assert member.status.kind == "event"
        assert member.trajectory.time[-1] == member.events["phase1_end"].time
        assert member.trajectory.values["min_margin"][-1] == pytest.approx(0, abs=1e-9)


def test_members_of_other_shapes_are_refused():
    def grows(seed):
        keys = jax.random.split(jax.random.key(seed), 2)
        task = flowsim.tasks.cooccurrence(samples=12 + 6 * seed, length=4, vocabulary=8, key=keys[0])
        model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=4, neurons=6, key=keys[1])
        return flowsim.Problem(model, task)

    with pytest.raises(ValueError, match="one shape, or use backend='loop'"):
        ensemble.simulate(grows, (0, 1), t1=1.0, backend="vmap", reduction="none")
    with pytest.raises(ValueError, match="auto, loop or vmap"):
        ensemble.simulate(make, SEEDS, t1=1.0, backend="pmap")


def _growth(x):
    return jnp.sum(x**3 / 3 - x**2 / 2)


def grown(start):
    return flowsim.Problem.from_loss(_growth, start)


GROWTH = {"t1": 3.0, "solver": "tsit5", "rtol": 1e-6, "save_times": [1.0]}


def half(**options):
    return flowsim.events.crossing("half", lambda t, x: x[0] - 0.7, direction="up", **options)


def starts(number):
    return jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (number, 9)))


@pytest.mark.slow
def test_members_made_by_one_traced_call_equal_their_own_runs():
    """Also at their event times, which the device solves for, and where a terminal one ends them."""
    for terminal in (False, True):
        events = [half(terminal=terminal)]
        result = ensemble.simulate(grown, starts(5), **GROWTH, events=events, keep=["loss"])
        assert isinstance(result.members, Stack)
        assert not result.members.alone
        for start, member in zip(starts(5), result.members, strict=True):
            alone = flowsim.simulate(grown(start), **GROWTH, events=events)
            assert member.status.kind == alone.status.kind
            assert member.status.time == pytest.approx(alone.status.time, rel=1e-13)
            assert member.solver.steps == alone.solver.steps
            assert member.solver.vector_field_evaluations == alone.solver.vector_field_evaluations
            np.testing.assert_allclose(member.events["half"].times, alone.events["half"].times, rtol=1e-13)
            np.testing.assert_allclose(member.trajectory.time, alone.trajectory.time, rtol=1e-13)
            np.testing.assert_allclose(member.trajectory.values["loss"], alone.trajectory.values["loss"], rtol=1e-12)
            for here, there in zip(member.events["half"].crossings, alone.events["half"].crossings, strict=True):
                assert here.slope == pytest.approx(there.slope, rel=1e-6)
                assert here.noise == pytest.approx(there.noise, rel=0.1, abs=1e-15)
                assert here.values["loss"] == pytest.approx(there.values["loss"], rel=1e-12)
    assert set(result.dataset) == {"loss", "event_half"}


@pytest.mark.slow
def test_the_host_does_not_work_through_the_members():
    """How often it waits for the device, and how often a problem is made, does not grow with their number."""
    made = []

    def counted(start):
        made.append(start)
        return grown(start)

    trips = {}
    for number in (16, 256):
        made.clear()
        result = ensemble.simulate(counted, starts(number), **GROWTH, events=[half()], keep=["loss"])
        assert np.isfinite(result.events["half"].times).sum() > number // 4
        assert len(made) <= 2  # the first by itself, then all of them
        trips[number] = result.members.trips
    assert trips[256] <= trips[16] + 3  # one more step of a member that waited for a look costs two or three


@pytest.mark.slow
def test_members_that_need_more_care_are_run_by_themselves():
    """One start blows up, and an event that jumps has no polynomial."""

    def blows(start):
        return flowsim.Problem.from_loss(lambda x: -jnp.sum(x**3) / 3, start)

    def step(t, x):
        return jnp.where(x[0] > 0.5, 1.0, -1.0)

    events = [flowsim.events.crossing("jump", step, direction="up")]
    begin = jnp.array([[0.01, 0.02], [2.0, 0.1], [0.45, 0.2]])
    result = ensemble.simulate(blows, begin, t1=1.0, solver="tsit5", rtol=1e-6, save_times=[0.5], events=events)
    assert sorted(result.members.alone) == [1, 2]
    assert [member.status.kind for member in result.members] == ["done", "blow_up", "done"]
    assert not result.ok
    assert result.events["jump"].times[2] == pytest.approx(1 / 0.45 - 2, rel=1e-5)
    assert np.isnan(result.dataset["loss"].values[1, -1])


def test_a_batch_fits_the_memory():
    from flowsim.ensemble.together import members_at_once
    from flowsim.simulation import Settings, prepare

    small = prepare(make(0), Settings(1.0))
    assert members_at_once(small, 10) == 10
    assert 10 < members_at_once(small, 10**9) < 10**6  # a gibibyte over some kilobytes each


TEXT = (
    "name: many\nseeds: 3\ntask: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}\n"
    "model: {kind: cooccurrence_transformer, width: 20, neurons: 6}\nflow: {kind: gradient, t1: 30.0}\n"
    "solver: {kind: tsit5}\nsave: {points: 10}\nfigures: [loss, event_times]\n"
    "discrete: [{optimizer: sgd, learning_rate: 0.1, steps: 20}]\n"
)


def run_into(folder, text=TEXT, **options):
    experiment = load_text(text, origin="many.yaml", folder=pathlib.Path())
    return over.run_ensemble(Source(experiment, text, pathlib.Path()), folder, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    said = []
    outcome = run_into(tmp_path_factory.mktemp("ensemble") / "out", say=said.append)
    return outcome, " ".join(said)


def test_experiment_over_seeds(finished):
    outcome, said = finished
    assert outcome.ok
    summary = json.loads((outcome.folder / "summary.json").read_text())
    event, certificate = summary["events"]["phase1_end"], summary["certificate"]
    with xarray.open_dataset(outcome.folder / "trajectory.nc") as dataset:
        assert dict(dataset["loss"].sizes) == {"seed": 3, "time": 11}
        assert event["time"] == pytest.approx(float(dataset["event_phase1_end"].median()))
        assert certificate["relative_error"] == float(dataset["relative_error"].max())
        assert certificate["relative_error_median"] == float(dataset["relative_error"].median())
    assert 0 < event["uncertainty"] < 2e-7  # the band of the margin over its slope, at the worst of the seeds
    assert "every seed is integrated again" in said
    with xarray.open_dataset(outcome.folder / "descent" / "00.nc") as descent:
        assert descent.attrs["label"].endswith("(seed 0 only)")
    assert "seed 0 only" in said
    assert (outcome.folder / "report.html").is_file()
    assert (outcome.folder / "figures" / "event_times.png").is_file()
    assert not (outcome.folder / "segments").exists()


def members_of(folder):
    sweep = Sweep.read(folder)
    return {member.values["seed"]: sweep.folder(name) for name, member in sweep.members.items()}


def test_every_seed_is_an_ordinary_run(finished):
    """With parameters, error bands and a summary; `status` and `collect` take the folder for the sweep that it is."""
    folder = finished[0].folder
    runs = {seed: flowsim.load(member) for seed, member in members_of(folder).items()}
    with xarray.open_dataset(folder / "trajectory.nc") as dataset:
        for seed, run in runs.items():
            assert run.complete
            np.testing.assert_array_equal(run.dataset["loss"], dataset["loss"].sel(seed=seed))
            assert (run.dataset["loss_error"] > 0).any()
            np.testing.assert_array_equal(run.dataset["loss_error"], dataset["loss_error"].sel(seed=seed))
            assert run.events["phase1_end"].time == float(dataset["event_phase1_end"].sel(seed=seed))
            assert run.model.key_query(jnp.arange(3)).shape == (3, 3)
            np.testing.assert_array_equal(run.dataset["attention_score"], dataset["attention_score"].sel(seed=seed))
    sweep = Sweep.read(folder)
    assert states(sweep).counts == {"done": 3, "running": 0, "waiting": 0, "failed": 0, "lost": 0}
    collect(sweep, states(sweep))
    assert flowsim.load_sweep(folder)["loss"].dims == ("time", "seed")


def test_a_single_run_of_a_members_file_is_the_member_to_the_last_bit(finished, tmp_path):
    member = members_of(finished[0].folder)[1]
    text = (member / "resolved.yaml").read_text()
    experiment = load_text(text, origin="e.yaml", folder=pathlib.Path())
    run_experiment(Source(experiment, text, pathlib.Path()), tmp_path / "run")
    for name in ("trajectory.nc", "parameters.safetensors", "resolved.yaml"):
        assert (tmp_path / "run" / name).read_bytes() == (member / name).read_bytes(), name
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["member"] == member.name


@pytest.mark.slow
def test_members_of_a_batch_are_stored_as_their_own_runs_are(finished, tmp_path):
    """What an accelerator does, whose members step together: the same folders, but for rounding."""
    whole = members_of(finished[0].folder)
    text = TEXT.replace("discrete: ", "notes: ''\ndescent: ").partition("descent")[0]
    experiment = load_text(text, origin="e.yaml", folder=pathlib.Path())
    first, _ = over.first_member(experiment, pathlib.Path())
    plan = over.plan_over(first, pathlib.Path(), seed=experiment.seeds)
    tmp_path.joinpath("sweep").mkdir()
    sweep = Sweep.add(tmp_path / "sweep", plan, expand(plan))
    own = {member.values["seed"]: name for name, member in sweep.members.items()}
    assert sorted(own.values()) == sorted(path.name for path in whole.values())

    def prepared(seed):
        one = over.member(first, seed)
        return build.prepared(one, build.problem(one, pathlib.Path()))

    ensemble.run(prepared, tuple(own), certified=True, backend="vmap", store=Folders(sweep, own))
    for seed, name in own.items():
        here, there = flowsim.load(sweep.folder(name)), flowsim.load(whole[seed])
        assert here.summary.solver.steps == there.summary.solver.steps
        np.testing.assert_allclose(here.dataset["loss"], there.dataset["loss"], rtol=1e-10)
        np.testing.assert_allclose(here.dataset["loss_error"], there.dataset["loss_error"], rtol=0.1, atol=1e-10)
        for key, value in there.parameters.items():
            np.testing.assert_allclose(here.parameters[key], value, atol=1e-9)
    assert states(sweep).counts["done"] == 3


class Killed(Exception):
    pass


@pytest.mark.slow
def test_an_interrupted_ensemble_goes_on_to_the_same_bits(finished, tmp_path):
    def kill(done, _number):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        run_into(tmp_path / "out", members=kill)
    files = sorted((tmp_path / "out" / "members").glob("*/summary.json"))
    assert len(files) >= 2
    before = {file: file.stat().st_mtime_ns for file in files}
    with pytest.raises(StoreError, match="another experiment"):
        run_into(tmp_path / "out", TEXT.replace("30.0", "31.0"), resume=True)

    def unchanged(*_):
        assert all(file.stat().st_mtime_ns == time for file, time in before.items())

    outcome = run_into(tmp_path / "out", resume=True, members=unchanged)
    assert outcome.ok
    with (
        xarray.open_dataset(outcome.folder / "trajectory.nc") as again,
        xarray.open_dataset(finished[0].folder / "trajectory.nc") as once,
    ):
        xarray.testing.assert_identical(again, once)
    first, second = finished[0].summary, outcome.summary
    for part in ("events", "final", "certificate"):
        assert json.dumps(second.record()[part]) == json.dumps(first.record()[part])  # in the same order too


@pytest.mark.slow
def test_members_of_another_seed_or_experiment_are_refused(finished, tmp_path):
    """Their numbers were taken for the member's whose name the folder has."""
    folder = pathlib.Path(shutil.copytree(finished[0].folder, tmp_path / "out"))
    first, _, last = members_of(folder).values()
    foreign = json.loads((last / "summary.json").read_text())["member"]
    assert foreign == last.name
    shutil.rmtree(first)
    shutil.copytree(last, first)
    for name in ("summary.json", "trajectory.nc", "report.html"):
        (folder / name).unlink()
    with pytest.raises(StoreError, match=f"{first}: holds the run of another member, {foreign}; delete the folder"):
        run_into(folder, resume=True)
    shutil.rmtree(first)
    text = TEXT.replace("seeds: 3", "seed: 0").replace("30.0", "5.0")  # a run of its own
    run_experiment(Source(load_text(text, origin="e.yaml", folder=pathlib.Path()), text, pathlib.Path()), first)
    with pytest.raises(StoreError, match=f"{first}: holds the run of another member"):
        run_into(folder, resume=True)
    shutil.rmtree(first)
    outcome = run_into(folder, resume=True)
    assert json.dumps(outcome.summary.record()["final"]) == json.dumps(finished[0].summary.record()["final"])


@pytest.mark.slow
def test_a_batch_that_ended_is_not_run_again():
    class Kept(ensemble.MemberStore):
        def __init__(self):
            self.members = {}

        def get(self, seed):
            return self.members.get(seed)

        def put(self, seed, result):
            self.members[seed] = ensemble.Member.of(seed, result)

    from flowsim.simulation import Settings, prepare

    def prepared(seed):
        ran.append(seed)
        settings = Settings(RUN["t1"], RUN["solver"])
        return prepare(make(seed), settings, events=[flowsim.events.phase1_end()], reduction="rotation")

    store, ran = Kept(), []
    options = {"backend": "vmap", "batch": 3, "store": store}  # the program of `batched`
    whole = ensemble.run(prepared, SEEDS, **options)
    del store.members[SEEDS[3]]
    ran.clear()
    again = ensemble.run(prepared, SEEDS, **options)
    assert set(ran) == {SEEDS[0], SEEDS[3]}  # of the first only how batches are made is asked
    for here, there in zip(again.members, whole.members, strict=True):
        assert here.events == there.events
        np.testing.assert_array_equal(here.trajectory.values["loss"], there.trajectory.values["loss"])
