"""Every tutorial runs as it stands, and the site builds without a warning."""

import importlib.util
import pathlib
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


def run(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return runpy.run_path(str(ROOT / "docs" / "tutorials" / f"{name}.py"))


def test_every_tutorial_has_a_test():
    assert [path.stem for path in TUTORIALS] == ["events", "own_init", "own_model"]


def test_events(tmp_path, monkeypatch):
    result = run("events", tmp_path, monkeypatch)["result"]
    assert result.status.kind == "event"
    assert result.final["loss"] == pytest.approx(0.1, rel=1e-6)
    first, second, third = (result.events[name].time for name in ("phase1_end", "word_learned", "loss_below"))
    assert 0 < first < third
    assert 0 < second < third


def test_own_init(tmp_path, monkeypatch):
    names = run("own_init", tmp_path, monkeypatch)
    keys = names["problem"].parameters.W_K
    assert (keys[:, 0] ** 2).mean() > 3 * (keys[:, 1:] ** 2).mean()
    assert all(event.time is not None for event in names["result"].events.values())


def test_own_model(tmp_path, monkeypatch):
    result = run("own_model", tmp_path, monkeypatch)["result"]
    assert result.certificate.relative_error < 1e-6
    assert (tmp_path / "own_model.png").stat().st_size > 10_000


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None,
    reason="the extra `docs` is not installed",
)
def test_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "langevin" in (tmp_path / "site" / "api" / "core" / "index.html").read_text()
    for page in (tmp_path / "site").rglob("index.html"):  # an include that was not made shows its own mark
        assert "8 &lt; --" not in page.read_text("utf-8"), page
    assert "GatedSum" in (tmp_path / "site" / "your-own-model" / "index.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_every_tutorial_is_a_notebook(path, tmp_path):
    """Made from the same source, run by a kernel: no cell fails, and what was printed is there."""
    jupytext, nbclient = pytest.importorskip("jupytext"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = jupytext.read(path, fmt="py:percent")
    assert sum(cell.cell_type == "code" for cell in notebook.cells) >= 3
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"]
    assert any(out.name == "stdout" for out in printed)
