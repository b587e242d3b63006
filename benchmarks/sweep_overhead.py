"""What a member of a local sweep costs beyond the run itself in a warm process: `python benchmarks/sweep_overhead.py`.

CPU seconds of all processes, not wall time: the same members are run by a plain loop over `run_experiment` in one
process and by `flowsim sweep --jobs 1`. Both are measured between their 20th and their last member, after compilation.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from flowsim.config import Source, load_text

SOURCE = """\
name: millisecond
task: {kind: cooccurrence, samples: 6, length: 3, vocabulary: 6}
model: {kind: cooccurrence_transformer, width: 4, neurons: 4}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 0.1}
events: []
save: {points: 2, spacing: linear}
figures: []
certificate: false
"""
WARM = 20


def loop(root: pathlib.Path, count: int) -> float:
    """CPU seconds a member of a plain loop in this process."""
    from flowsim.experiment.run import run_experiment

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as a worker is: waiting threads cost time
    began = 0.0
    for seed in range(count):
        if seed == WARM:
            began = time.process_time()
        experiment = load_text(SOURCE, origin="e.yaml", folder=root, overrides=[f"seed={seed}"])
        run_experiment(Source(experiment, SOURCE, root), root / "loop" / str(seed))
    return (time.process_time() - began) / (count - WARM)


def sweep(root: pathlib.Path, count: int) -> float:
    """CPU seconds of `flowsim sweep` with so many members, of it and all below it."""
    (root / "e.yaml").write_text(SOURCE)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "flowsim", "sweep", str(root / "e.yaml"), f"seed={{count: {count}}}"]
    out = root / f"sweep-{count}"
    subprocess.run([*command, "--out", str(out), "--jobs", "1", "-q"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(count: int) -> None:
    """Print both, and their difference."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        swept = (sweep(root, count) - sweep(root, WARM)) / (count - WARM)
        alone = loop(root, count)
    print(json.dumps({
        "members": count, "cpu_ms_loop": round(1e3 * alone, 1), "cpu_ms_sweep": round(1e3 * swept, 1),
        "cpu_ms_overhead": round(1e3 * (swept - alone), 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
