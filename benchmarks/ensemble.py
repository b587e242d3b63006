"""Many seeds at the paper's size against as many compiled single runs, shared out over the cores.

python -m benchmarks.ensemble [--members 40] [--backend auto|loop|vmap] [--repeats 3]

It runs on a GPU as it is; there the members step together (`vmap`), and are shared out over the devices.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import jax

import flowsim
from flowsim import ensemble

T1, SINGLES = 300.0, 5
BAR = 1.15  # of the issue, on a CPU


def make(seed: int) -> flowsim.Problem:
    keys = jax.random.split(jax.random.key(seed), 3)
    task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=64, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=64, width=128, neurons=256, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--backend", choices=("auto", "loop", "vmap"), default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--t1", type=float, default=T1)
    asked = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    events, seeds = [flowsim.events.phase1_end()], range(asked.members)
    backend = asked.backend
    if backend == "auto":
        backend = "loop" if jax.default_backend() == "cpu" else "vmap"
    shares = ensemble.cores() if jax.default_backend() == "cpu" else jax.local_device_count()

    def single(seed: int) -> None:
        flowsim.simulate(make(seed), t1=asked.t1, events=events, reduction="rotation")

    def together() -> None:
        ensemble.simulate(make, seeds, t1=asked.t1, events=events, backend=backend)

    compiling, _ = seconds(lambda: (single(0), together()))
    # In turns, so that a slow moment of the machine hits both.
    singles, ensembles = [], []
    for repeat in range(asked.repeats):
        singles += [seconds(lambda s=1 + i + SINGLES * repeat: single(s)) for i in range(SINGLES)]
        ensembles.append(seconds(together))
    wall, cpu = (statistics.median(values) for values in zip(*singles, strict=True))
    all_wall, all_cpu = (statistics.median(values) for values in zip(*ensembles, strict=True))
    ratio = all_wall / (asked.members * wall / shares)
    device = jax.devices()[0]
    print(f"device {device.platform} {device.device_kind}, {jax.local_device_count()} of it; backend {backend}")
    print(f"one single run: {wall:.3f} s wall, {cpu:.3f} s CPU (median of {len(singles)})")
    print(f"{asked.members} members: {all_wall:.2f} s wall, {all_cpu:.2f} s CPU (median of {asked.repeats}; "
          f"first runs, with compilation: {compiling:.1f} s)")  # fmt: skip
    print(f"over members x single / {shares}: {ratio:.3f} wall (bar {BAR} on a CPU), "
          f"{all_cpu / (asked.members * cpu):.3f} CPU (does not see other processes)")  # fmt: skip


if __name__ == "__main__":
    main()
