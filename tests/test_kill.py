"""SIGKILL at random moments: a resumed run ends as if nothing had happened, to the last bit."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import flowsim

from .killing import SAME, SOURCE

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Compiled code is kept between processes: this test starts many."""
    cache = tmp_path_factory.mktemp("compiled")
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def start(arguments, environment, **options):
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, text=True, **options)


def summary(folder):
    """All of it but the seconds."""
    content = json.loads((folder / "summary.json").read_text())
    content["solver"] = {k: v for k, v in content["solver"].items() if not k.startswith("seconds")}
    return content


def assert_same(folder, reference):
    for name in SAME:
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name
    assert summary(folder) == summary(reference)


def uninterrupted(root, environment):
    """A run that nothing disturbs, and how long another takes that finds everything compiled, in seconds."""
    took = []
    for name in ("reference", "again"):
        worker = start(["tests.killing", str(root / name), "1"], environment, stdout=subprocess.PIPE)
        worker.stdout.readline()
        began = time.monotonic()
        assert worker.communicate()[0] == "all done\n"
        took.append(time.monotonic() - began)
    assert_same(root / "again" / "000", root / "reference" / "000")
    return root / "reference" / "000", took[-1]


def kill_often(root, kills, environment, seed, longest):
    """Start the worker and kill it, `kills` times, each within `longest` seconds; then let it finish what it began."""
    rng = random.Random(seed)
    root.mkdir()
    for _ in range(kills):
        worker = start(["tests.killing", str(root), "1000000"], environment, stdout=subprocess.PIPE)
        assert worker.stdout.readline().startswith("start")
        time.sleep(rng.uniform(0.0, longest))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    begun = len(list(root.iterdir()))
    last = start(["tests.killing", str(root), str(begun)], environment, stdout=subprocess.PIPE)
    said, _ = last.communicate()
    assert said.endswith("all done\n")
    assert last.returncode == 0


@pytest.mark.slow
def test_killed_at_25_random_moments(tmp_path, environment):
    reference, seconds = uninterrupted(tmp_path, environment)
    roots = [tmp_path / "a", tmp_path / "b"]
    with ThreadPoolExecutor(2) as pool:
        chains = [
            pool.submit(kill_often, root, kills, environment, kills, 1.2 * seconds)
            for root, kills in zip(roots, (12, 13), strict=True)
        ]
    for root, chain in zip(roots, chains, strict=True):
        chain.result()
        for folder in root.iterdir():
            assert_same(folder, reference)
            assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_after_the_chunk_and_says_how_to_go_on(tmp_path, environment, number):
    file, folder = tmp_path / "e.yaml", tmp_path / "run"
    file.write_text(SOURCE.replace("rtol: 2.0e-6, atol: 1.0e-8", "rtol: 1.0e-12, atol: 1.0e-12"))  # several chunks
    running = start(["flowsim", "run", str(file), "--out", str(folder)], environment, stderr=subprocess.PIPE)
    while not (folder / "checkpoint.safetensors").exists():
        time.sleep(0.01)
        assert running.poll() is None, running.stderr.read()
    running.send_signal(signal.SIGSTOP)  # or it would be over before this process has read the folder
    seen = flowsim.load(folder)
    running.send_signal(number)
    running.send_signal(signal.SIGCONT)
    _, said = running.communicate()
    assert running.returncode == 128 + number
    assert f"flowsim run --resume {folder}" in said
    assert not seen.complete
    assert 0 < seen.dataset.sizes["time"] <= flowsim.load(folder).dataset.sizes["time"] < 3000
    reported = start(["flowsim", "report", str(folder)], environment, stderr=subprocess.PIPE)
    assert "partial" in reported.communicate()[1]
    assert reported.returncode == 0
    assert "unfinished" in (folder / "report.html").read_text()
    resumed = start(["flowsim", "run", "--resume", str(folder), "-q"], environment)
    assert resumed.wait() == 0
    assert flowsim.load(folder).dataset.sizes["time"] == 3001
