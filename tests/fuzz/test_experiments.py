"""Thousands of broken experiment files: each is sound, or refused with a place, quickly, and nothing else happens."""

import collections
import json
import subprocess
import sys
import time

from flowsim.experiment import ExperimentErrors, load, load_text, resolved_yaml

from .experiments import mutated

COUNT = 2000


def test_broken_files_are_refused_and_nothing_else(tmp_path):
    path = tmp_path / "e.yaml"
    endings = collections.Counter()
    for number, raw in enumerate(mutated(20240601, COUNT)):
        path.write_bytes(raw)
        start = time.perf_counter()
        try:
            experiment = load(path)
            endings["sound"] += 1
        except ExperimentErrors as error:
            endings["refused"] += 1
            assert all(c.isprintable() or c == "\n" for c in str(error)), (number, raw)
            assert all(p.message and p.place.origin == str(path) for p in error.problems), (number, raw)
            json.dumps([problem.record() for problem in error.problems], allow_nan=False)
        else:
            assert load_text(resolved_yaml(experiment), origin="resolved") == experiment, (number, raw)
        assert time.perf_counter() - start < 2, (number, raw)
    assert min(endings["sound"], endings["refused"]) > COUNT // 20, endings


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
