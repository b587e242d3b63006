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
