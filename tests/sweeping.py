"""A small sweep compared to the last bit, and kills at random moments: `python -m tests.sweeping FOLDER KILLS`."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from .slurm.cluster import Cluster

ROOT = pathlib.Path(__file__).parent.parent
SOURCE = """\
name: swept
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 10}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 20.0}
solver: {kind: tsit5, rtol: 1.0e-9, atol: 1.0e-9}
events: [phase1_end, {kind: loss_below, value: 1.0e-1}]
save: {points: 1500, spacing: log}
figures: [loss]
certificate: false
sweep:
  model.width: [8, 12, 16]
  init.sigma0: {log: [0.1, 0.8, 4]}
  seed: {count: 2}
"""
MEMBERS = 24
SAME = ("trajectory.nc", "parameters.safetensors", "resolved.yaml", "experiment.yaml", "figures/loss.png")


def environment(cache: pathlib.Path | None = None) -> dict[str, str]:
    """Of processes that share compiled programs, and find this checkout."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), found.get("PYTHONPATH", "")]))
    if cache is not None:
        found |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return found


def flowsim(*arguments: object, env: dict[str, str], check: bool = True) -> subprocess.CompletedProcess:
    """One command of flowsim, to its end."""
    command = [sys.executable, "-m", "flowsim", *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr[-2000:]
    return done


def numbers(folder: pathlib.Path) -> dict:
    """`summary.json` without seconds that were measured."""
    content = json.loads((folder / "summary.json").read_text())
    content["solver"] = {key: value for key, value in content["solver"].items() if not key.startswith("seconds")}
    return content


def assert_same(folder: pathlib.Path, reference: pathlib.Path) -> None:
    """Every array, event and number of two run folders is the same to the last bit."""
    for name in SAME:  # a member of an ensemble has no figures of its own
        own, other = (path.read_bytes() if path.exists() else None for path in (folder / name, reference / name))
        assert own == other, f"{folder / name}"
    assert numbers(folder) == numbers(reference), folder


def assert_same_sweeps(folder: pathlib.Path, reference: pathlib.Path, members: int = MEMBERS) -> None:
    """Every member of two sweeps is the same, and nothing is left over."""
    names = sorted(path.name for path in (folder / "members").iterdir())
    assert names == sorted(path.name for path in (reference / "members").iterdir())
    assert len(names) == members
    for name in names:
        assert_same(folder / "members" / name, reference / "members" / name)
    assert not list((folder / "running").iterdir())
    assert not list((folder / "failed").iterdir())


def status(folder: pathlib.Path, env: dict[str, str]) -> dict:
    return json.loads(flowsim("status", folder, "--json", env=env).stdout)


def wait_until_done(folder: pathlib.Path, env: dict[str, str], seconds: float, members: int = MEMBERS) -> None:
    until = time.monotonic() + seconds
    while (now := status(folder, env))["done"] < members:
        assert time.monotonic() < until, {key: now[key] for key in ("done", "running", "waiting", "failed", "lost")}
        time.sleep(1.0)


def wait_until_running(folder: pathlib.Path, env: dict[str, str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not (now := status(folder, env))["running"]:
        assert time.monotonic() < until, {key: now[key] for key in ("done", "running", "waiting", "failed", "lost")}
        time.sleep(0.5)


def descendants(pid: int) -> list[int]:
    """Processes below a process, as Linux lists them now."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Victims:
    """What a round may kill; counts by the kind of what was killed."""

    def __init__(self, rng: random.Random):
        self.rng, self.counts = rng, dict[str, int]()

    def strike(self, choices: dict[str, Callable[[], bool]]) -> None:
        """Kill one of them at random; one that is not there does not count."""
        kind = self.rng.choice(list(choices))
        if choices[kind]():
            self.counts[kind] = self.counts.get(kind, 0) + 1

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def kill_locally(root: pathlib.Path, reference: pathlib.Path, kills: int, env: dict[str, str], seed: int) -> dict:
    """Sweeps on this machine and by Dask; their workers and submitting processes are killed."""
    victims, sweeps = Victims(random.Random(seed)), 0
    while victims.total < kills:
        on = ("local", "dask")[sweeps % 2]
        folder = root / f"sweep-{sweeps}"
        _kill_one_sweep(folder, on, victims, kills, env)
        flowsim("sweep", "--resume", folder, "--jobs", 2, env=env)
        assert_same_sweeps(folder, reference)
        print(f"{victims.total} kills {victims.counts}, sweep {sweeps} ({on}) is the same", flush=True)
        shutil.rmtree(folder)
        sweeps += 1
    return victims.counts


def _kill_one_sweep(folder: pathlib.Path, on: str, victims: Victims, kills: int, env: dict[str, str]) -> None:
    source = folder.with_suffix(".yaml")
    source.write_text(SOURCE)
    arguments = [str(source), "--out", str(folder)]
    while victims.total < kills:
        command = [sys.executable, "-m", "flowsim", "sweep", *arguments, "--on", on, "--jobs", "2", "-q"]
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as front:
            while front.poll() is None and victims.total < kills:
                time.sleep(victims.rng.uniform(0.0, 5.0))
                below = descendants(front.pid)
                worker = victims.rng.choice(below) if below else 0
                victims.strike(
                    {
                        "submitting process": lambda: _kill(front.pid) if victims.rng.random() < 0.4 else False,
                        "worker": lambda pid=worker: bool(pid) and _kill(pid),
                        "member": lambda: _kill_member(folder, victims.rng),
                    }
                )
            _kill(front.pid)
        if (folder / "sweep.json").exists():
            arguments = ["--resume", str(folder)]
            if status(folder, env)["done"] == MEMBERS:
                return


def _kill_member(folder: pathlib.Path, rng: random.Random) -> bool:
    """The process that runs a member, as the member's claim names it."""
    claims = list((folder / "running").glob("*.json"))
    if not claims:
        return False
    try:
        return _kill(json.loads(rng.choice(claims).read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return False


def kill_on_slurm(root: pathlib.Path, reference: pathlib.Path, kills: int, seed: int, cache: pathlib.Path) -> dict:
    """Sweeps on a Slurm of one's own; members, tasks and Slurm's daemons are killed, the daemons started again."""
    victims, sweeps = Victims(random.Random(seed)), 0
    with Cluster(root / "slurm") as cluster:
        env = environment(cache) | {key: cluster.environment[key] for key in ("SLURM_CONF", "PATH")}
        while victims.total < kills:
            folder = root / f"slurm-{sweeps}"
            _kill_one_on_slurm(cluster, folder, victims, kills, env)
            assert_same_sweeps(folder, reference)
            print(f"{victims.total} kills {victims.counts}, sweep {sweeps} (slurm) is the same", flush=True)
            shutil.rmtree(folder)
            sweeps += 1
    return victims.counts


def _kill_one_on_slurm(cluster, folder, victims: Victims, kills: int, env: dict[str, str]) -> None:
    source = folder.with_suffix(".yaml")
    source.write_text(SOURCE)
    flowsim("sweep", source, "--out", folder, "--on", "slurm", "--per-task", 4, env=env)

    def daemon(name: str) -> bool:
        cluster.kill(name)
        time.sleep(victims.rng.uniform(0.0, 2.0))
        cluster.start(name)
        return True

    recovered = False
    while (now := status(folder, env))["done"] < MEMBERS:
        if victims.total >= kills and not recovered:
            # A task that ended while slurmctld was down counts as running until its node registers again.
            recovered = daemon("slurmd")
        elif victims.total < kills:
            victims.strike(
                {
                    "member": lambda: _kill_member(folder, victims.rng),
                    "task": lambda: _kill_task(folder),
                    "slurmd": lambda: daemon("slurmd"),
                    "slurmctld": lambda: daemon("slurmctld"),
                }
            )
        if now["failed"] or now["lost"]:
            flowsim("sweep", "--resume", folder, "--on", "slurm", "--per-task", 4, env=env, check=False)
        time.sleep(victims.rng.uniform(0.0, 4.0))


def _kill_task(folder: pathlib.Path) -> bool:
    """The process of a Slurm task that watches the members."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"flowsim.sweep.task" in words and str(folder.resolve()).encode() in words:
            return _kill(int(path.parent.name))
    return False


def make_reference(root: pathlib.Path, env: dict[str, str]) -> pathlib.Path:
    """A sweep that nothing disturbs."""
    root.mkdir(parents=True, exist_ok=True)
    source, folder = root / "reference.yaml", root / "reference"
    source.write_text(SOURCE)
    flowsim("sweep", source, "--out", folder, "--jobs", 2, env=env)
    return folder


def main(where: str, kills: str, on: str = "local") -> None:
    root = pathlib.Path(where).resolve()
    cache = root / "compiled"
    reference = root / "reference"
    if not reference.exists():
        make_reference(root, environment(cache))
    if on == "slurm":
        print(kill_on_slurm(root, reference, int(kills), 0, cache))
    else:
        print(kill_locally(root, reference, int(kills), environment(cache), 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
