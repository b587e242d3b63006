"""Every tutorial runs as it stands, and the site builds without a warning."""

import html
import importlib.util
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest

import flowsim

ROOT = pathlib.Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


def run(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return runpy.run_path(str(ROOT / "docs" / "tutorials" / f"{name}.py"))


def test_every_tutorial_has_a_test():
    assert [path.stem for path in TUTORIALS] == ["events", "own_claim", "own_init", "own_model"]


@pytest.mark.slow
def test_events(tmp_path, monkeypatch):
    result = run("events", tmp_path, monkeypatch)["result"]
    assert result.status.kind == "event"
    assert result.final["loss"] == pytest.approx(0.1, rel=1e-6)
    first, second, third = (result.events[name].time for name in ("phase1_end", "word_learned", "loss_below"))
    assert 0 < first < third
    assert 0 < second < third


@pytest.mark.slow
def test_own_claim(tmp_path, monkeypatch):
    assert [one.word for one in run("own_claim", tmp_path, monkeypatch)["verdicts"]] == ["holds"]


@pytest.mark.slow
def test_own_init(tmp_path, monkeypatch):
    names = run("own_init", tmp_path, monkeypatch)
    keys = names["problem"].parameters.W_K
    assert (keys[:, 0] ** 2).mean() > 3 * (keys[:, 1:] ** 2).mean()
    assert all(event.time is not None for event in names["result"].events.values())


@pytest.mark.slow
def test_own_model(tmp_path, monkeypatch):
    result = run("own_model", tmp_path, monkeypatch)["result"]
    assert result.certificate.relative_error < 1e-6
    assert (tmp_path / "own_model.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.stem for path in folder.rglob("*.ipynb")) == [path.stem for path in TUTORIALS]
    return {str(path.parent.relative_to(folder)): path.read_text("utf8") for path in folder.rglob("index.html")}


def text(page):
    """What a reader sees of a page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


def test_every_tutorial_is_shown_on_a_page(site):
    for path in TUTORIALS:
        code = " ".join(path.read_text("utf8").split())
        pages = [page for page in site.values() if code in text(page)]
        assert pages, path.name
        assert all(f'href="../tutorials/{path.stem}.ipynb"' in page for page in pages)


def test_no_page_shows_what_should_have_been_included(site):
    for name, page in site.items():
        assert not re.search(r"-\s*-\s*8|8\s*<\s*-", text(page)), name


def test_formulas_are_typeset(site):
    assert "<math" in site["mathematics"]
    for name, page in site.items():
        assert 'class="arithmatex"' not in page, name
        assert not re.search(r"\\(frac|theta|top|nabla|sqrt)\b", text(page)), name


def entries():
    """(page, name) of everything that a page of the API names."""
    for path in sorted((ROOT / "docs" / "api").glob("*.md")):
        for module, options in re.findall(r"^::: (\S+)\n((?: {4}.*\n)*)", path.read_text("utf8"), re.MULTILINE):
            yield f"api/{path.stem}", module
            for members in re.findall(r"members: \[([^\]]*)\]", options):
                yield from ((f"api/{path.stem}", f"{module}.{name}") for name in re.findall(r"\w+", members))


def test_what_the_pages_of_the_api_name_is_there(site):
    missing = [name for page, name in entries() if f'id="{name}"' not in site[page]]
    assert not missing


def test_every_public_name_is_on_a_page_of_the_api():
    shown = {name.rsplit(".", 1)[-1] for _, name in entries()}
    assert set(flowsim.__all__) - {"__version__"} <= shown


@pytest.fixture(name="notebooks")
def _notebooks():
    """The hook that makes notebooks of tutorials."""
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = (ROOT / "docs" / "your-own-model.md").read_text("utf8")


def test_without_a_repository_there_is_no_badge(notebooks):
    config = SimpleNamespace(repo_url=None, remote_branch="gh-pages")
    page = notebooks.on_page_markdown(PAGE, config=config)
    assert "[Take this as a notebook](tutorials/own_model.ipynb)\n" in page
    assert "colab" not in page.lower()
    assert "pip" not in notebooks.notebook(TUTORIALS[0], None).cells[0].source


def test_one_setting_gives_every_tutorial_a_badge(notebooks):
    config = SimpleNamespace(repo_url="https://github.com/some-one/flow.sim", remote_branch="gh-pages")
    page = notebooks.on_page_markdown(PAGE, config=config)
    address = "https://colab.research.google.com/github/some-one/flow.sim/blob/gh-pages/tutorials/own_model.ipynb"
    assert f"[![Open in Colab](images/open-in-colab.svg)]({address})" in page
    assert (ROOT / "docs" / "images" / "open-in-colab.svg").is_file()
    first, second, *_ = notebooks.notebook(TUTORIALS[0], config.repo_url).cells
    assert first.cell_type == "code"
    assert first.source.endswith("\n%pip install -q git+https://github.com/some-one/flow.sim")
    assert second.source == notebooks.notebook(TUTORIALS[0], None).cells[0].source
    for wrong in ("https://gitlab.com/a/b", "https://github.com/a", "https://github.com/a/b/c", "a/b"):
        with pytest.raises(notebooks.PluginError, match=r"must be https://github\.com/OWNER/NAME"):
            notebooks.hosted(wrong, "gh-pages", "events")


@pytest.mark.slow
def test_site_with_a_repository(tmp_path):
    """The setting works from the environment, and the pages link to it."""
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    setting = {**os.environ, "FLOWSIM_REPOSITORY": "https://github.com/some-one/flowsim"}
    done = subprocess.run(command, cwd=ROOT, env=setting, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in TUTORIALS:
        address = f"colab.research.google.com/github/some-one/flowsim/blob/gh-pages/tutorials/{path.stem}.ipynb"
        assert any(address in page.read_text("utf8") for page in (tmp_path / "site").rglob("index.html"))
        notebook = json.loads((tmp_path / "site" / "tutorials" / f"{path.stem}.ipynb").read_text("utf8"))
        assert "git+https://github.com/some-one/flowsim" in "".join(notebook["cells"][0]["source"])


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
