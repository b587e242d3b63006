"""What `pyproject.toml` asks for, as constraints for pip."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent


def requirements(pyproject: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """What the package needs, and what its tests need."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["test"])]


def lowest(wanted: list[Requirement]) -> list[str]:
    """Each at its lower bound. What these need in turn is as new as pip finds it, as in a user's old environment.

    **Raises:** `ValueError` for one that has no lower bound: nothing says what it was tested with.
    """
    pins = []
    for requirement in wanted:
        bounds = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"{requirement}: give it one lower bound (>=), the lowest version that passes the tests.")
        pins.append(f"{requirement.name}=={bounds[0]}")
    return pins
