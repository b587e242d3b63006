"""Many seeds at the paper's size against as many compiled single runs shared out over the cores.

python -m benchmarks.ensemble [SEEDS]
"""

import statistics
import sys
import time

import jax

import flowsim
from flowsim import ensemble

T1, SINGLES = 300.0, 5


def make(seed):
    keys = jax.random.split(jax.random.key(seed), 3)
    task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=64, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=64, width=128, neurons=256, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


def seconds(work):
    """(wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main(count=40):
    jax.config.update("jax_enable_x64", True)
    events, seeds, cores = [flowsim.events.phase1_end()], range(count), ensemble.cores()

    def single(seed):
        flowsim.simulate(make(seed), t1=T1, events=events, reduction="rotation")

    single(0)  # compile
    singles = [seconds(lambda s=seed: single(s)) for seed in range(1, 1 + SINGLES)]
    wall, cpu = (statistics.median(values) for values in zip(*singles, strict=True))
    together, together_cpu = seconds(lambda: ensemble.simulate(make, seeds, t1=T1, events=events))
    print(f"device {jax.devices()[0].device_kind}, {cores} cores; one single run: {wall:.3f} s wall, {cpu:.3f} s CPU")
    print(f"{count} seeds: {together:.2f} s wall, {together_cpu:.2f} s CPU")
    print(f"over seeds x single / cores: {together / (count * wall / cores):.3f} wall, "
          f"{together_cpu / (count * cpu):.3f} CPU (does not see other processes)")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
