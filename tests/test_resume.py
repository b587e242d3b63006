"""`verify` and `compare` lose nothing that has ended, and end as if nothing had happened."""

import json
import signal
import subprocess
import sys
import time

import pytest

from flowsim.config import Source, load_text
from flowsim.experiment.comparison import run_comparison
from flowsim.store import StoreError
from flowsim.sweep.verify import verify_experiment

from .test_cli import flowsim
from .test_cli_compare import TEXT as COMPARE
from .test_verify import EXPERIMENT

VERIFY = EXPERIMENT.replace("values: [64, 128], seeds: 2", "values: [64, 128], seeds: 1")


class Killed(BaseException):
    """As if the process had ended here."""


def killing_at(text):
    def say(said):
        if text in said:
            raise Killed

    return say


def command(function, text, folder, **options):
    experiment = load_text(text, origin="e.yaml", folder=folder.parent)
    return function(Source(experiment, text, folder.parent), folder, **options)


@pytest.mark.slow
def test_an_interrupted_verification_is_resumed(tmp_path):
    whole = command(verify_experiment, VERIFY, tmp_path / "whole")
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        command(verify_experiment, VERIFY, folder, say=killing_at("width = 128"))
    kept = {path: path.stat().st_mtime_ns for path in (folder / "segments").glob("part-*/checkpoint.safetensors")}
    assert {path.parent.name for path in kept} == {"part-seed-1", "part-width=64.0-seed-0"}
    assert not (folder / "claims.json").exists()

    def unchanged(_):
        assert all(path.stat().st_mtime_ns == at for path, at in kept.items() if path.exists())

    refused = flowsim("run", "--resume", folder)
    assert refused.returncode == 2
    assert f"flowsim verify --resume {folder}" in refused.stderr
    resumed = command(verify_experiment, VERIFY, folder, resume=True, say=unchanged)
    assert resumed.claims == whole.claims
    assert (folder / "trajectory.nc").read_bytes() == (tmp_path / "whole" / "trajectory.nc").read_bytes()
    assert not (folder / "segments").exists()
    again = command(verify_experiment, VERIFY, folder, resume=True)
    assert again.claims == json.loads(json.dumps(whole.claims))


@pytest.mark.slow
def test_an_interrupted_comparison_is_resumed(tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        command(run_comparison, COMPARE, folder, say=killing_at("bosh3 at 0.0001"))
    kept = sorted((folder / "segments").glob("outcome-*"))
    assert [path.name for path in kept] == [
        "outcome-bosh3-0.001.safetensors",
        "outcome-reference-dopri5.safetensors",
        "outcome-reference-tsit5.safetensors",
    ]
    said = []
    found = command(run_comparison, COMPARE, folder, resume=True, say=said.append)
    assert [(run.solver, run.setting, run.status) for run in found.runs] == [
        ("bosh3", 1e-3, "done"),
        ("bosh3", 1e-4, "done"),
    ]
    assert not [text for text in said if text.startswith("reference")]
    assert not (folder / "segments").exists()
    assert (folder / "table.txt").read_text() == found.table() + "\n"


@pytest.mark.slow
def test_a_piece_in_the_place_of_another_is_refused_with_the_remedy(tmp_path):
    folder = tmp_path / "out"
    with pytest.raises(Killed):
        command(run_comparison, COMPARE, folder, say=killing_at("bosh3 at 0.0001"))
    there, other = (folder / "segments" / f"outcome-reference-{name}.safetensors" for name in ("tsit5", "dopri5"))
    there.write_bytes(other.read_bytes())
    with pytest.raises(
        StoreError, match=r"outcome-reference-tsit5.*is not outcome reference-tsit5 of this run: delete"
    ):
        command(run_comparison, COMPARE, folder, resume=True)
    there.unlink()
    command(run_comparison, COMPARE, folder, resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("name", "text"), [("verify", VERIFY), ("compare", COMPARE)])
def test_a_process_that_is_ended_is_resumed(tmp_path, name, text, number):
    (tmp_path / "e.yaml").write_text(text)
    folder = tmp_path / "out"
    arguments = [sys.executable, "-m", "flowsim", name, tmp_path / "e.yaml", "--out", folder]
    running = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while not list(folder.glob("segments/*-*")):
        time.sleep(0.02)
        assert running.poll() is None, running.stderr.read()
    running.send_signal(number)
    _, said = running.communicate()
    if number == signal.SIGTERM:
        assert running.returncode == 143
        assert f"flowsim {name} --resume {folder}" in said
    assert flowsim(name, "--resume", folder, "-q").returncode == 0
