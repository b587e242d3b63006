"""The table of planted faults fits today's code. The faults themselves are planted by `python -m tests.mutants`."""

import ast
import collections
import functools

import pytest

from .mutants.__main__ import ROOT, arguments
from .mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.new.strip()[:40]}")
def test_each_fault_can_be_planted_and_its_tests_exist(mutant):
    text = (ROOT / "src" / "flowsim" / mutant.file).read_text("utf8")
    assert text.count(mutant.old) == 1
    broken = text.replace(mutant.old, mutant.new)
    assert broken != text
    compile(broken, mutant.file, "exec")
    files = [word for word in arguments(mutant) if word.startswith("tests/")]
    assert files
    for word in mutant.tests.split():
        file, _, test = word.partition("::")
        name = test.partition("[")[0]  # or the beginning of some
        assert not name or any(own.startswith(name) for own in functions(file)), word


@functools.cache
def functions(file):
    """Names of a file's tests."""
    tree = ast.parse((ROOT / "tests" / f"test_{file}").read_text("utf8"))
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_sixty_different_faults_over_the_core():
    assert len(set(MUTANTS)) == len(MUTANTS) == 60
    rooms = collections.Counter(mutant.file.partition("/")[0] for mutant in MUTANTS)
    assert len(rooms) >= 12
