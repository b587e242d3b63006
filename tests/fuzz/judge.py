"""What may become of a broken experiment file: it is sound, or refused with a place, within two seconds."""

import json
import pathlib
import time

from flowsim.config import Experiment, ExperimentErrors, load, load_text, resolved_yaml

SECONDS = 2.0  # of this process's own time


def judge(raw: bytes, folder: pathlib.Path, number: int) -> tuple[type, float]:
    """How a file ends, and the seconds that it took. Any other exception, or a wrong message, is raised."""
    path = folder / "e.yaml"
    path.write_bytes(raw)
    found, seconds = _outcome(path)
    assert seconds < SECONDS, (number, raw)
    if isinstance(found, Experiment):
        # The file that every default is written to says the same.
        assert load_text(resolved_yaml(found), origin="resolved", folder=folder) == found, (number, raw)
        return Experiment, seconds
    assert all(c.isprintable() or c == "\n" for c in str(found)), (number, raw)
    assert all(p.message and p.place.origin == str(path) for p in found.problems), (number, raw)
    json.dumps([problem.record() for problem in found.problems], allow_nan=False)
    return ExperimentErrors, seconds


def _outcome(path: pathlib.Path) -> tuple[Experiment | ExperimentErrors, float]:
    start = time.process_time()
    try:
        found: Experiment | ExperimentErrors = load(path)
    except ExperimentErrors as error:
        found = error
    return found, time.process_time() - start
