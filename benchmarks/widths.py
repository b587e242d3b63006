"""The end of phase 1 from m = 4·10⁴ to infinity, and what a width of 10⁹ costs.

python -m benchmarks.widths [SEEDS]
"""

import math
import statistics
import sys
import time

import jax
import numpy as np

import flowsim

LENGTH, NEURONS, C0, C1 = 5, 256, 0.25, 0.25
WIDTHS = (4 * 10**4, 4 * 10**5, 4 * 10**6, 4 * 10**7, 4 * 10**8, math.inf)


def distinct_words(seed, width):
    """Section 13's setting: distinct words, n = 60, L = 5, Gaussian with σ0 = c0/√(Lm), σ1 = c1/√m1."""
    key_task, key_init = jax.random.split(jax.random.key(seed))
    task = flowsim.tasks.cooccurrence(samples=60, length=LENGTH, vocabulary=200, distinct_words=True, key=key_task)
    if width == math.inf:
        model = flowsim.models.InfiniteWidthTransformer(vocabulary=200)
    else:
        model = flowsim.models.FactoredTransformer.of_size(vocabulary=200, width=width, neurons=NEURONS)
    return flowsim.Problem(flowsim.init.theory(length=LENGTH, c0=C0, c1=C1)(model, key=key_init), task)


def phase1_end(seed, width):
    """T1 σ1² m m1."""
    unit = 1.0 if width == math.inf else C1**2 * width
    result = flowsim.simulate(
        distinct_words(seed, width), t1=20.0 / unit, rtol=1e-9, atol=1e-14, save_times=[0.0, 20.0 / unit],
        events=[flowsim.events.phase1_end(terminal=True)],
    )  # fmt: skip
    return result.events["phase1_end"].time * unit


def law(seeds):
    """Each seed's draw is the same at all widths but for χ, whose spread in ‖u‖² is √(2/m)."""
    times = {width: np.array([phase1_end(seed, width) for seed in range(seeds)]) for width in WIDTHS}
    limit = times[math.inf]
    print(f"T1·σ1²·m·m1 over {seeds} seeds; apart: from the limit, seed by seed")
    for width, values in times.items():
        apart = values / limit - 1
        error = np.std(apart, ddof=1) / math.sqrt(seeds)
        print(f"m = {width:7.0e}  first {values[:3].round(4)}  mean {values.mean():.5f}  "
              f"mean apart {apart.mean():+.2e} ± {error:.1e}  √(2/m) {math.sqrt(2 / width):.1e}")  # fmt: skip


def sample_and_run(width, t1):
    """Paper's task; the matrices are formed only at the small width."""
    size = {"vocabulary": 64, "width": width, "neurons": width}
    task = flowsim.tasks.cooccurrence(samples=60, length=LENGTH, vocabulary=64, key=jax.random.key(0))
    start = time.perf_counter()
    if width <= 10**4:
        model = flowsim.models.CooccurrenceTransformer(**size, key=jax.random.key(1))
    else:
        model = flowsim.models.FactoredTransformer.of_size(**size)
    model = flowsim.init.theory(length=LENGTH)(model, key=jax.random.key(2))
    flowsim.simulate(flowsim.Problem(model, task), t1=t1, events=[flowsim.events.phase1_end()])
    return time.perf_counter() - start


def cost(repeats=5):
    """Horizons of equal T1-units, so that both widths do the same piece of the path."""
    for width in (256, 10**9):
        seconds = [sample_and_run(width, 300.0 * 256 / width) for _ in range(repeats + 1)]
        print(f"m = m1 = {width:7.0e}: first {seconds[0]:.2f} s, then median {statistics.median(seconds[1:]):.3f} s")


def main(seeds=16):
    jax.config.update("jax_enable_x64", True)
    law(seeds)
    cost()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
