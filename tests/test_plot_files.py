"""What `plot.write_figures` writes and records, and what it refuses."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import pytest
import xarray
from matplotlib.image import imread

from flowsim import plot
from flowsim._files import StoreError, write_bytes

from .figure_data import discrete


@pytest.mark.slow
def test_draw_writes_files_and_records(dataset, events, tmp_path):
    before = dict(matplotlib.rcParams)
    runs = [discrete(dataset)]
    records = plot.write_figures(plot.FIGURES, plot.Drawing(dataset, events, runs), tmp_path / "figures")
    assert dict(matplotlib.rcParams) == before
    assert [record.name for record in records] == list(plot.FIGURES)
    for record in records:
        assert record.skipped_reason is None
        assert len(record.caption) > 40
        assert imread(record.png).std() > 0.01
        assert record.pdf.read_bytes().startswith(b"%PDF")
        assert b"Date" not in record.pdf.read_bytes()
    assert len(list((tmp_path / "figures").iterdir())) == 2 * len(records) + 1  # one moves; no temporary file is left


@pytest.mark.slow
def test_same_data_same_bytes_in_threads(dataset, events, tmp_path):
    def bytes_of(folder):
        records = plot.write_figures(["balance"], plot.Drawing(dataset, events), tmp_path / folder)
        return records[0].png.read_bytes(), records[0].pdf.read_bytes()

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(bytes_of, "abc")
    assert all(other == first for other in others)


def test_what_lacks_data_is_skipped_with_a_reason(dataset, tmp_path):
    (tmp_path / "attention.png").write_bytes(b"of an earlier run")
    own = dataset[["loss"]]
    records = {r.name: r for r in plot.write_figures(plot.FIGURES, plot.Drawing(own), tmp_path)}
    assert records["loss"].png.is_file()
    assert "attention_score" in records["attention"].skipped_reason
    assert "gradient_sum" in records["balance"].skipped_reason
    assert "invariant_" in records["invariants"].skipped_reason
    assert not (tmp_path / "attention.png").exists()

    other = dataset.assign_coords(group=["a", "b", "c", "d"])
    (record,) = plot.write_figures(["balance"], plot.Drawing(other), tmp_path)
    assert "no group both" in record.skipped_reason
    (record,) = plot.write_figures(["loss"], plot.Drawing(dataset.isel(time=[0, 1])), tmp_path)
    assert "fewer than two times" in record.skipped_reason
    (record,) = plot.write_figures(["loss"], None, tmp_path)
    assert "no trajectory" in record.skipped_reason


def test_wrong_names_are_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"unknown figure 'lose'; the figures are .*attention, .*loss"):
        plot.write_figures(["loss", "lose"], plot.Drawing(dataset), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(plot.CannotDraw, match="no attention_score"):
        plot.FIGURES["attention"](dataset[["loss"]])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_bytes(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StoreError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_plotting_leaves_pyplot_alone():
    code = "import sys, flowsim.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda drawing: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda drawing: None, "returned a NoneType"),
    ],
)
def test_a_figure_of_a_users_that_fails_is_skipped_with_the_reason(function, reason, tmp_path):
    """It ended the run, which was over by then, in a traceback."""
    drawing = plot.Drawing(xarray.Dataset({"loss": ("time", [1.0, 0.5])}, {"time": [0.0, 1.0]}))
    (record,) = plot.write_figures({"own": function}, drawing, tmp_path)
    assert reason in record.skipped_reason
    assert not any(tmp_path.iterdir())
