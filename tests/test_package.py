"""The distribution: its metadata, its citation, and that wheel and sdist install and run in a clean environment."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib
import venv
import zipfile

import pytest
from ruamel.yaml import YAML

from flowsim._version import DISTRIBUTION, __version__

ROOT = pathlib.Path(__file__).parent.parent


def test_one_name_and_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert project["dynamic"] == ["version"]
    assert project["scripts"] == {"flowsim": "flowsim.cli:main"}


def test_citation_is_valid():
    """The required keys of Citation File Format 1.2.0, in the forms that it allows."""
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert isinstance(citation["message"], str)
    assert isinstance(citation["title"], str)
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    assert citation["authors"]
    for author in citation["authors"]:
        assert {"name"} <= set(author) or {"family-names", "given-names"} <= set(author)
    allowed = {
        "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords",
        "license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact",
        "repository-code", "title", "type", "url", "version",
    }  # fmt: skip
    assert set(citation) <= allowed
    for reference in citation.get("references", []):
        assert {"authors", "title", "type"} <= set(reference)


def run(*command, cwd):
    own = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }  # what is installed, not this tree
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", name="built")
def _built(tmp_path_factory):
    """Wheel and sdist, built from a copy so that nothing is left in the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    tools = folder / "tools"
    venv.create(tools, with_pip=True)
    python = tools / "bin" / "python"
    try:
        run(python, "-m", "pip", "install", "-q", "build", "hatchling>=1.25", cwd=folder)
    except AssertionError:
        pytest.skip("no package index to take the build tools from")
    run(python, "-m", "build", "--no-isolation", "--outdir", folder / "out", ROOT, cwd=folder)
    (wheel,), (sdist,) = (folder / "out").glob("*.whl"), (folder / "out").glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_wheel_holds_what_is_no_python(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    source = ROOT / "src"
    wanted = {str(p.relative_to(source)) for p in (source / "flowsim").rglob("*") if p.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    assert wanted <= names
    assert not [name for name in names if re.match(r"(tests|docs|benchmarks)/", name)]
    assert built[0].name.startswith(DISTRIBUTION.replace("-", "_"))


@pytest.fixture(scope="module", name="clean")
def _clean(built, tmp_path_factory):
    """A clean environment with the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=True)
    run(folder / "env" / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile", built[0], cwd=folder)
    return folder / "env" / "bin"


def check_installed(folder, place):
    """The command says its version, prints an experiment, checks it and runs it, all from the environment."""
    python, command = place / "python", place / "flowsim"
    assert run(command, "--version", cwd=folder).strip() == f"flowsim {__version__}"
    (folder / "quick.yaml").write_text(run(command, "new", "quick", cwd=folder), encoding="utf8")
    run(command, "check", "quick.yaml", cwd=folder)
    run(command, "run", "quick.yaml", "flow.t1=1.0", "--out", "r", "-q", cwd=folder)
    assert (folder / "r" / "report.html").is_file()
    where = run(python, "-c", "import flowsim; print(flowsim.__file__)", cwd=folder)
    assert str(place.parent) in where
    assert sys.prefix not in where


@pytest.mark.slow
def test_wheel_installs_and_runs_in_a_clean_environment(clean, tmp_path):
    check_installed(tmp_path, clean)


@pytest.mark.slow
def test_sdist_installs_and_runs_in_a_clean_environment(built, clean, tmp_path):
    """In place of the wheel; what it requires is the same, to the letter, and is there."""
    command = [clean / "python", "-c", f"import importlib.metadata as m; print(m.metadata('{DISTRIBUTION}'))"]
    before = run(*command, cwd=tmp_path)
    run(clean / "python", "-m", "pip", "uninstall", "-q", "-y", DISTRIBUTION, cwd=tmp_path)
    run(clean / "python", "-m", "pip", "install", "-q", "--no-compile", "--no-deps", built[1], cwd=tmp_path)
    assert run(*command, cwd=tmp_path) == before
    check_installed(tmp_path, clean)
