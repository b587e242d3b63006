"""Imports go one way, and the fences hold."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import flowsim

ROOT = pathlib.Path(flowsim.__file__).parent
DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "architecture.md"


def layers():
    """Room -> layer, as `docs/architecture.md` says."""
    found = {}
    for line in DOCUMENT.read_text(encoding="utf8").splitlines():
        match = re.match(r"\| (\d+) \| ([^|]*) \|", line)
        if match:
            found |= {room.rstrip("/"): int(match[1]) for room in re.findall(r"`([\w/]+)`", match[2])}
    return found


def imports(path):
    """(room or package, is it flowsim's own) of every import in a file, except those under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    here = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0], False
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1]
            parts = (*base, *((node.module or "").split(".") if node.module else ()))
            yield from [(parts[0], True)] if parts else [(alias.name, True) for alias in node.names]


FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    order = layers()
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert room in order, f"{room} is not in docs/architecture.md"
    for name, own in imports(path):
        if own and name != room:
            assert order[name] < order[room], f"{room} (layer {order[room]}) imports {name} (layer {order[name]})"


FENCES = {
    "diffrax": {"solvers", "simulation", "_langevin"},
    "optax": {"descent", "flows"},
    "ruamel": {"config"},
    "yaml": set(),
    "matplotlib": {"plot", "report"},
    "typer": {"cli"},
    "rich": {"cli"},
    "distributed": {"sweep"},
    "plotly": set(),  # its script is read as a file
    "pickle": set(),
}


@pytest.mark.parametrize("package", FENCES)
def test_fences(package):
    rooms = {
        path.relative_to(ROOT).parts[0].removesuffix(".py")
        for path in FILES
        for name, own in imports(path)
        if name == package and not own
    }
    assert rooms <= FENCES[package]


def test_import_is_lean():
    code = (
        "import sys, flowsim, jax; flowsim.simulate; flowsim.certificate; flowsim.descent;"
        "heavy = ('pydantic', 'typer', 'ruamel', 'matplotlib', 'xarray', 'rich', 'safetensors', 'h5netcdf');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
