"""The table of planted faults fits today's code. The faults themselves are planted by `python -m tests.mutants`."""

import collections

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
    for word in files:
        path, _, test = word.partition("::")
        assert f"def {test.partition('[')[0]}" in (ROOT / path).read_text("utf8")


def test_sixty_different_faults_over_the_core():
    assert len(set(MUTANTS)) == len(MUTANTS) == 60
    rooms = collections.Counter(mutant.file.partition("/")[0] for mutant in MUTANTS)
    assert len(rooms) >= 12
