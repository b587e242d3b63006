"""Thousands of broken experiment files: each is sound, or refused with a place, quickly, and nothing else happens."""

import collections
import json
import subprocess
import sys
import time

from flowsim.config import Experiment, ExperimentErrors, load, load_text, resolved_yaml

from .experiments import mutated

COUNT = 2000


def outcome(path) -> Experiment | ExperimentErrors:
    try:
        return load(path)
    except ExperimentErrors as error:
        return error


def test_broken_files_are_refused_and_nothing_else(tmp_path):
    path = tmp_path / "e.yaml"
    endings = collections.Counter()
    for number, raw in enumerate(mutated(20240601, COUNT)):
        path.write_bytes(raw)
        start = time.perf_counter()
        found = outcome(path)
        assert time.perf_counter() - start < 2, (number, raw)
        endings[type(found)] += 1
        if isinstance(found, Experiment):
            assert load_text(resolved_yaml(found), origin="resolved") == found, (number, raw)
            continue
        assert all(c.isprintable() or c == "\n" for c in str(found)), (number, raw)
        assert all(p.message and p.place.origin == str(path) for p in found.problems), (number, raw)
        json.dumps([problem.record() for problem in found.problems], allow_nan=False)
    assert min(endings[Experiment], endings[ExperimentErrors]) > COUNT // 20, endings


def test_the_same_seed_makes_the_same_files():
    assert list(mutated(3, 20)) == list(mutated(3, 20))
    assert list(mutated(3, 20)) != list(mutated(4, 20))


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
