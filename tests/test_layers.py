"""Imports go one way, and the fences hold."""

import ast
import builtins
import dis
import pathlib
import re
import subprocess
import sys
import types

import pytest

import flowsim

ROOT = pathlib.Path(flowsim.__file__).parent
DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "architecture.md"


def layers():
    """Module or package -> layer, as `docs/architecture.md` says."""
    found = {}
    for line in DOCUMENT.read_text(encoding="utf8").splitlines():
        match = re.match(r"\| (\d+) \| ([^|]*) \|", line)
        if match:
            found |= {name.rstrip("/"): int(match[1]) for name in re.findall(r"`([\w/]+)`", match[2])}
    return found


def imports(path):
    """(module or package, is it flowsim's own) of every import in a file, except those under TYPE_CHECKING."""
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
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert here in order, f"{here} is not in docs/architecture.md"
    for name, own in imports(path):
        if own and name != here:
            assert order[name] < order[here], f"{here} (layer {order[here]}) imports {name} (layer {order[name]})"


FENCES = {
    "diffrax": {"solvers", "simulation", "_langevin"},
    "optax": {"descent", "flows"},
    "ruamel": {"config"},
    "yaml": set(),
    "matplotlib": {"plot", "report"},
    "typer": {"cli"},
    "rich": {"cli", "_progress"},
    "distributed": {"sweep"},
    "plotly": set(),  # its script is read as a file
    "pickle": set(),
}


@pytest.mark.thorough
@pytest.mark.parametrize("package", FENCES)
def test_fences(package):
    users = {
        path.relative_to(ROOT).parts[0].removesuffix(".py")
        for path in FILES
        for name, own in imports(path)
        if name == package and not own
    }
    assert users <= FENCES[package]


def test_import_is_lean():
    code = (
        "import sys, flowsim, jax; flowsim.simulate; flowsim.certificate; flowsim.descent;"
        "heavy = ('pydantic', 'typer', 'ruamel', 'matplotlib', 'xarray', 'rich', 'safetensors', 'h5netcdf');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def names(code, operation):
    """The names that an operation of a compiled module, or of what is defined in it, has as its argument."""
    yield from (each.argval for each in dis.get_instructions(code) if each.opname == operation)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from names(inner, operation)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_name_is_defined(path):
    """Linters cannot tell: to them the shapes in annotations are undefined names."""
    code = compile(path.read_text("utf8"), path, "exec")
    defined = {each for operation in ("STORE_NAME", "STORE_GLOBAL") for each in names(code, operation)}
    known = {*defined, *dir(builtins), "__name__", "__file__", "__path__", "__doc__"}
    assert not set(names(code, "LOAD_GLOBAL")) - known
