"""Thousands of broken experiment files: each is sound, or refused with a place, quickly, and nothing else happens."""

import collections
import subprocess
import sys

import pytest

from flowsim.config import Experiment, ExperimentErrors

from .experiments import mutated
from .judge import judge

COUNT = 200  # of 10 000, which `python -m tests.fuzz` takes


def test_broken_files_are_refused_and_nothing_else(tmp_path):
    endings = collections.Counter()
    for number, raw in enumerate(mutated(20240601, COUNT)):
        ending, _ = judge(raw, tmp_path, number)
        endings[ending] += 1
    assert min(endings[Experiment], endings[ExperimentErrors]) > COUNT // 20, endings


def test_the_same_seed_makes_the_same_files():
    assert list(mutated(3, 20)) == list(mutated(3, 20))
    assert list(mutated(3, 20)) != list(mutated(4, 20))


@pytest.mark.slow
def test_the_command_refuses_them_with_exit_code_2_and_no_traceback(tmp_path):
    codes = collections.Counter()
    for number, raw in enumerate(mutated(7, 24)):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(raw)
        command = [sys.executable, "-c", "from flowsim.cli import main; main()", "check", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        codes[done.returncode] += 1
        assert done.returncode in (0, 2), (raw, done.stderr)
        assert "Traceback" not in done.stderr
        assert str(path) in done.stderr
        assert done.stdout == ""
    assert codes[2] > 10, codes
