"""What `python -m tests.versions` tries is what `pyproject.toml` declares."""

import tomllib

import pytest
from packaging.requirements import Requirement

from .versions.bounds import ROOT, lowest, requirements


def test_everything_has_one_lower_bound():
    pins = lowest(requirements())
    assert len(pins) == len({pin.split("==")[0] for pin in pins}) > 25
    declared = next(requirement for requirement in requirements() if requirement.name == "diffrax")
    assert f"diffrax=={str(declared.specifier).removeprefix('>=')}" in pins


@pytest.mark.parametrize("text", ["numpy", "numpy<3", "numpy>=2,>=1"])
def test_without_one_it_says_what_to_write(text):
    with pytest.raises(ValueError, match="give it one lower bound"):
        lowest([Requirement(text)])


def test_the_tests_needs_are_declared_once_for_pip_and_once_alike_for_uv():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert whole["project"]["optional-dependencies"]["test"] == whole["dependency-groups"]["test"]
