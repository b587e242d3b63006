"""Runs from Python: shown as they go, kept in folders, saved, and loaded again."""

import gc
import io
import itertools
import sys
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from safetensors.numpy import save as safetensors

import flowsim
from flowsim import _progress
from flowsim._files import StoreError, write_bytes
from flowsim._progress import Notebook, Progress, Terminal, watched
from flowsim.cli.run import resumed
from flowsim.config import load_text
from flowsim.config.problems import ExperimentErrors
from flowsim.experiment import build
from flowsim.report import rebuild
from flowsim.simulation import Settings, prepare
from flowsim.store import fingerprint, named_parameters

TIMES = np.linspace(0.0, 10.0, 1000)  # several chunks of rows


def problem(scale=1.0):
    return flowsim.Problem.from_loss(lambda p: scale * jnp.sum(jnp.tanh(p["x"]) ** 2) / 2, {"x": jnp.ones(3)})


def run(scale=1.0, level=0.5, **options):
    half = flowsim.events.crossing("half", lambda t, p: p["x"][0] - level)
    return flowsim.simulate(
        problem(scale), t1=10.0, save_times=TIMES, events=[half], probes={"both": lambda p: p["x"][:2]}, **options
    )


def stopping(after):
    """A progress function that is Ctrl-C at a chunk."""
    count = itertools.count(1)

    def stop(chunk):
        if next(count) == after:
            raise KeyboardInterrupt

    return stop


@pytest.fixture(scope="module", name="whole")
def _whole():
    return run(certificate=True)


def test_a_saved_result_is_a_run_folder(whole, tmp_path):
    folder = whole.save(tmp_path / "kept", name="mine")
    stored = flowsim.load(folder)
    assert stored.complete
    assert stored.summary.name == "mine"
    assert stored.summary.certificate.relative_error == whole.certificate.relative_error
    assert stored.events["half"].time == whole.events["half"].time
    assert stored.dataset.drop_attrs().identical(whole.dataset.drop_attrs())
    assert "both_error" in stored.dataset
    np.testing.assert_array_equal(stored.parameters["x"], whole.parameters["x"])
    np.testing.assert_array_equal(stored.filled({"x": jnp.zeros(3)})["x"], whole.parameters["x"])
    with pytest.raises(StoreError, match=r"write run\.filled\(model\)"):
        _ = stored.model
    with pytest.raises(ValueError, match="shape"):
        stored.filled({"x": jnp.zeros(4)})
    assert "half" in rebuild(folder).report.read_text("utf8")  # as `flowsim report` does
    assert len(flowsim.plot.draw(folder, "loss").axes) == 1


def test_saving_replaces_only_what_it_is_told_to(whole, tmp_path):
    folder = whole.save(tmp_path / "kept")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="replace=True"):
        whole.save(folder)
    whole.save(folder, name="again", replace=True)
    assert flowsim.load(folder).summary.name == "again"
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_run_that_is_kept_goes_on_where_it_was_interrupted(whole, tmp_path):
    folder = tmp_path / "kept"
    part = run(folder=folder, progress=stopping(2))
    assert part.status.kind == "interrupted"
    seen = flowsim.load(folder)
    assert seen.summary is None
    assert 0 < seen.dataset.sizes["time"] < len(TIMES)
    assert seen.dataset["both"].shape[1] == 2
    assert not list(folder.glob("summary.json"))
    again = run(folder=folder, max_seconds=1e-9)
    assert again.status.kind == "interrupted"
    assert again.status.time > seen.dataset["time"][-1]
    whole_again = run(folder=folder, certificate=True)
    for name, values in whole.trajectory.values.items():
        np.testing.assert_array_equal(whole_again.trajectory.values[name], values)
    assert whole_again.solver.vector_field_evaluations == whole.solver.vector_field_evaluations
    stored = flowsim.load(folder)
    assert stored.dataset.drop_attrs().identical(whole.dataset.drop_attrs())
    assert not (folder / "segments").exists()
    with pytest.raises(StoreError, match="has ended"):
        run(folder=folder)


def test_a_run_that_is_stopped_before_it_has_begun_does_not_block_its_folder(tmp_path, monkeypatch):
    def stop(prepared):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("flowsim.result.folder.described", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder=tmp_path / "kept")
    (tmp_path / "kept" / ".meta.json.1.2.tmp").touch()  # and one that was killed while it wrote
    assert run(folder=tmp_path / "kept").status.kind == "done"
    (tmp_path / "used" / "segments").mkdir(parents=True)
    (tmp_path / "used" / "segments" / "mine").touch()
    with pytest.raises(StoreError, match="holds something"):
        run(folder=tmp_path / "used")


def test_another_run_does_not_go_on_with_it(tmp_path):
    """The constants in its functions count, not their names; and the command line says who made it."""
    folder = tmp_path / "kept"
    run(folder=folder, progress=stopping(1))
    for changed in ({"scale": 2.0}, {"level": 0.25}, {"rtol": 1e-6}):
        with pytest.raises(StoreError, match="cannot be resumed as another"):
            run(folder=folder, **changed)
    with pytest.raises(ExperimentErrors, match=r"flowsim\.simulate again with this folder="):
        resumed(folder)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(StoreError, match="choose another folder"):
        run(folder=tmp_path / "used")


def test_what_identifies_a_run_holds_in_every_process():
    """No address of a function is in it: two functions of the same code are the same run."""

    def who(slope):
        rectified = flowsim.Problem.from_loss(lambda p: jnp.sum(jax.nn.relu(slope * p) ** 2), jnp.ones(2))
        return fingerprint(prepare(rectified, Settings(1.0)))

    assert who(2.0) == who(2.0)
    assert who(2.0).digest() != who(3.0).digest()


class Kernel:
    kernel = object()


def test_who_watches(monkeypatch):
    assert watched() is None  # of a test nobody
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert watched() is Terminal
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=Kernel))
    assert watched() is Notebook


def test_a_notebook_has_one_line_that_moves(monkeypatch):
    shown = []
    handle = types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    display = types.SimpleNamespace(display=lambda data, raw, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=display))
    now = [0.0]
    monkeypatch.setattr(_progress.clock, "monotonic", lambda: now[0])
    with Progress(Notebook, after=1.0) as progress:
        for now[0] in (0.5, 1.5, 2.0):
            progress.update(now[0], 4.0, 0.1, 7, now[0] / 4)
    assert [line.split("loss")[0].strip() for line in shown] == ["t = 1.5 of 4", "t = 2 of 4", ""]


def test_progress_is_asked_for_or_not(monkeypatch):
    """A quick run shows nothing; with True anybody sees a slow one; a function of one's own takes its place."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    clock = itertools.count(0.0, 11.0)
    monkeypatch.setattr(_progress.clock, "monotonic", lambda: next(clock))
    run(progress=False)
    run()
    assert stream.getvalue() == ""
    run(progress=True)
    assert "of 10  loss" in stream.getvalue()


def test_a_problem_is_a_small_table():
    page = problem()._repr_html_()
    assert "3 numbers, float64: x[3]" in page
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=4, neurons=4, key=jax.random.key(1))
    page = flowsim.Problem(model, task)._repr_html_()
    assert "CooccurrenceTransformer" in page
    assert "12 samples, each an array of shape (4,); labels are ±1, each a number" in page
    assert len(page) < 1000


def test_a_problem_is_a_few_lines():
    assert "3 numbers, float64: x[3]" in repr(problem())
    task = flowsim.tasks.cooccurrence(samples=12, length=4, vocabulary=8, key=jax.random.key(0))
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=4, neurons=4, key=jax.random.key(1))
    whole = flowsim.Problem(model, task)
    assert [line.split()[0] for line in repr(whole).splitlines()] == ["Problem", "model", "parameters", "task", "loss"]
    assert "12 samples, each an array of shape (4,); labels are ±1, each a number" in repr(whole)
    assert eqx.filter_jit(lambda traced: jax.numpy.ones(len(repr(traced))))(whole).size > 100
    assert repr(jax.tree.map(lambda _: None, whole)).startswith("<flowsim.problem"), "taken apart"


def test_what_a_notebook_shows_is_a_few_lines(whole, tmp_path):
    """A descent was a thousand lines of arrays, a run folder five thousand characters, an ensemble an address."""
    steps = flowsim.descent.descend(problem(), optax.sgd(0.1), learning_rate=0.1, steps=10)
    assert repr(steps).splitlines()[1] == "  steps  10 to t = 1 (steps × learning rate)"
    assert f"loss {steps.dataset['loss'].values[-1]:g}" in repr(steps)
    run = flowsim.load(whole.save(tmp_path / "r"))
    assert repr(run).startswith(f"Run {tmp_path / 'r'}\n  status")
    many = flowsim.ensemble.simulate(lambda seed: problem(1.0 + seed), [0, 1], t1=1.0)
    assert repr(many) == "EnsembleResult\n  members  2, all at their end, not certified"
    assert all(len(repr(one).splitlines()) < 10 for one in (steps, run, many))


def test_the_loss_fits_the_labels():
    """It was the logistic one, of numbers as well."""
    model = flowsim.models.MLP(sizes=[2, 3, 1], key=jax.random.key(0))
    task = flowsim.tasks.from_arrays(np.ones((4, 2)), np.arange(4.0)[:, None])
    assert flowsim.Problem(model, task).loss is flowsim.losses.squared


def test_a_run_starts_from_the_file_that_a_run_left(tmp_path):
    """`init: {kind: file, path: …/parameters.safetensors}`, as the page of the experiment file says."""
    model = flowsim.models.CooccurrenceTransformer(vocabulary=8, width=4, neurons=4, key=jax.random.key(1))
    write_bytes(tmp_path / "parameters.safetensors", safetensors(named_parameters(model)))
    source = (
        "flow: {t1: 1.0}\ntask: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}\n"
        "model: {width: 4, neurons: 4}\ninit: {kind: file, path: parameters.safetensors}\n"
    )
    experiment = load_text(source, origin="e.yaml", folder=tmp_path)
    started = build.problem(experiment, tmp_path).parameters
    np.testing.assert_array_equal(started.W_K, model.W_K)
    np.testing.assert_array_equal(started.W, model.W)


def test_a_run_that_is_forgotten_is_freed():
    """Neither its start nor its states are kept anywhere: of hundreds of runs in one process that is all memory."""
    size = 4321

    def crossed():
        problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2) / 2, jnp.linspace(0.5, 1.0, size))
        event = flowsim.events.crossing("half", lambda t, x: x[0] - 0.25, direction="down")
        result = flowsim.simulate(problem, t1=1.0, rtol=1e-6, events=[event], certificate=True)
        return result.events["half"].time, result.certificate.relative_error

    assert crossed()[0] == pytest.approx(np.log(2), abs=1e-5)
    gc.collect()
    assert not [x.shape for x in jax.live_arrays() if size in x.shape]
