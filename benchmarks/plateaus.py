"""Plateaus of the gallery's saddle-to-saddle papers: their heights against the known ones, and the saddles' indices.

    python -m benchmarks.plateaus [NAME …]

Starts are smaller than the gallery's: a plateau is as flat as the start is small. Every saddle is an event of its run;
heights are closed forms, for the diagonal network the least-squares loss of the inputs that are in use. The index is
told beside what it must be: inputs, or modes, that are not yet learned; their squares for a network of two matrices,
where every unlearned output pairs with every unlearned hidden unit; 0 at degenerate saddles.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim import gallery

KEY = jax.random.key(0)


def paper(name, **fields):
    module = gallery.module(name)
    return module, getattr(module, name.capitalize())(kind=name, **fields)


def saxe2014():
    """½ Σ λ² of the modes to come."""
    strengths = np.array([4.0, 2.0, 1.0])
    _, made = paper("saxe2014", start=1e-12)
    heights = [np.sum(strengths[k:] ** 2) / 2 for k in (1, 2)]
    return made.problem(KEY), 60.0, heights, [4, 1]


def simon2023():
    """One for each mode to come."""
    _, made = paper("simon2023", start=1e-6)
    return made.problem(KEY), 10.0, [3.0, 2.0, 1.0], [9, 4, 1]


def zhang2025():
    """Separate rank-one heads from a random start: L_m."""
    module, made = paper("zhang2025")
    start = made.problem(KEY).parameters["random"]
    problem = flowsim.Problem.from_loss(lambda heads: made.risk(module.matrix(heads), KEY), start)
    return problem, 1e4, list(made.plateaus()[1:-1]), [0, 0, 0]


def woodworth2020():
    """Diagonal network: from each saddle one input more is in use."""
    _, made = paper("woodworth2020", scales=(1e-8,))
    return made.problem(KEY), 3000.0, None, None


def least_squares(parameters):
    """The least loss with the inputs that are in use there, and how many are not."""
    X, y = (np.asarray(x) for x in paper("woodworth2020", scales=(1e-8,))[1].data(KEY))
    beta = np.ravel(parameters["u"] ** 2 - parameters["v"] ** 2)
    used = np.abs(beta) > 1e-3
    fit = np.linalg.lstsq(X[:, used], y, rcond=None)[0]
    return 0.5 * np.mean((X[:, used] @ fit - y) ** 2), int(np.sum(~used))


def measured(problem, t1):
    event = flowsim.events.saddle(threshold=1e-3)
    probes = {"state": lambda p: jax.flatten_util.ravel_pytree(p)[0]}
    times = np.unique(np.concatenate([np.linspace(0, t1, 1000), np.geomspace(1e-3, t1, 4000)]))
    result = flowsim.simulate(problem, t1=t1, rtol=1e-9, atol=1e-16, events=[event], probes=probes, certificate=False,
                              save_times=times)  # fmt: skip
    start = float(result.trajectory.values["loss"][0])
    cut = flowsim.events.phases(result.events["saddle"].crossings, loss=start, end=t1, final=result.final["loss"])
    return result, [phase for phase in cut if phase.height < 0.999 * start]


def judge(name):
    problem, t1, heights, indices = globals()[name]()
    result, passed = measured(problem, t1)
    if heights is None:
        rows = [int(np.argmin(np.abs(result.trajectory.time - phase.start))) for phase in passed]
        unravel = jax.flatten_util.ravel_pytree(problem.parameters)[1]
        found = [least_squares(unravel(jnp.asarray(result.trajectory.values["state"][row]))) for row in rows]
        heights, indices = zip(*found, strict=True) if found else ((), ())
    if len(passed) != len(heights):
        print(f"{name}: {len(passed)} saddles, {len(heights)} expected")
    for phase, height, index in zip(passed, heights, indices, strict=False):
        off = abs(phase.height / height - 1)
        print(
            f"{name}: saddle at t = {phase.start:.4g}, height {phase.height:.6g} ± {phase.height_error:.1e} of "
            f"{height:.6g}, {off:.2%} off {'ok' if off < 0.01 else 'NOT WITHIN 1 %'}, index {phase.index} of {index}",
            flush=True,
        )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name in sys.argv[1:] or ("saxe2014", "simon2023", "woodworth2020", "zhang2025"):
        judge(name)
