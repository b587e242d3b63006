"""The stabilized methods against Diffrax's explicit ones, SUNDIALS' and SciPy's on stiff flows (squared loss), at equal
error.

python -m benchmarks.stiff [t1 of the transformer | tanh ...]    default: 10 tanh; 10 minutes and more, like t1 = 100

At t1 = 100 of Diffrax's only those that were cheapest at t1 = 10 are run.

CVODE (BDF, and Adams, with GMRES) takes exact Jacobian-vector products, each of them two evaluations like ours; SciPy's
LSODA and Radau difference quotients, which are counted too. They need the extra `sundials`.

For each method the run with fewest evaluations whose error is at most 5e-3, at the best of several tolerances. Error:
distance of the final parameters to the reference's (dop853, checked by dopri8; two decades tighter) over the distance
that the flow travelled.
"""

import statistics
import sys

import jax
import jax.numpy as jnp

import flowsim
from flowsim.compare import Comparison, work_precision

EXPLICIT = ("tsit5", "dopri5", "bosh3", "heun", "midpoint", "ralston")
CHEAPEST = ("heun", "midpoint")
SUNDIALS, SCIPY = ("sundials_bdf", "sundials_adams"), ("scipy_lsoda", "scipy_radau")
STABILISED = ("exponential", "stabilized", "stabilized4")
TOLERANCES = (3e-2, 1e-2, 5e-3, 1e-3, 1e-4, 5e-5, 1e-5, 1e-6)
ERROR = 5e-3


def transformer() -> flowsim.Problem:
    """The paper's problem with a squared loss."""
    keys = jax.random.split(jax.random.key(0), 3)
    task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=64, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=64, width=128, neurons=256, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task, loss=flowsim.losses.squared)


def tanh_network(inputs: int = 4, width: int = 32, samples: int = 32) -> flowsim.Problem:
    """Two hidden layers, a smooth target."""
    keys = jax.random.split(jax.random.key(1), 5)
    sizes = (inputs, width, width, 1)
    layers = [jax.random.normal(k, (m, n)) / jnp.sqrt(n) for k, n, m in zip(keys[:3], sizes, sizes[1:], strict=False)]
    x = jax.random.normal(keys[3], (samples, inputs))
    y = jnp.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]

    def loss(weights):
        hidden = jnp.tanh(jnp.tanh(x @ weights[0].T) @ weights[1].T)
        return jnp.mean((hidden @ weights[2][0] - y) ** 2) / 2

    return flowsim.Problem.from_loss(loss, layers)


def show(name: str, comparison: Comparison) -> None:
    print(f"\n{name}\n{comparison.table()}\n")
    found = {run.solver: comparison.cheapest(run.solver, ERROR) for run in comparison.runs}
    rivals = [run for solver, run in found.items() if run is not None and solver not in STABILISED]
    best = min(rivals, key=lambda run: run.evaluations, default=None)
    fastest = min((statistics.median(run.seconds) for run in rivals), default=float("nan"))
    for solver in STABILISED:
        run = found[solver]
        if run is None or best is None:
            print(f"{solver}: no run, or no rival, within {ERROR:g}")
            continue
        work, seconds = best.evaluations / run.evaluations, fastest / statistics.median(run.seconds)
        print(f"{solver}: {run.evaluations} evaluations; best rival {best.evaluations} ({best.solver})")
        print(f"  evaluations 1/{work:.1f}, seconds 1/{seconds:.1f}")
        for rival in rivals:
            print(f"  against {rival.solver}: 1/{rival.evaluations / run.evaluations:.1f}")


def on_transformer(t1: float) -> None:
    found = work_precision(
        transformer(), solvers=(*(EXPLICIT if t1 < 50 else CHEAPEST), *SUNDIALS, *STABILISED), t1=t1, save_times=[t1],
        tolerances=TOLERANCES if t1 < 50 else (1e-2, 3e-3, 1e-3), repeats=1, reference=("dop853", "dopri8"),
        max_steps=200_000, atol_ratio=1e-2,
    )  # fmt: skip
    show(f"transformer, squared loss, t = {t1:g}", found)


def on_tanh_network() -> None:
    found = work_precision(
        tanh_network(), solvers=(*EXPLICIT, *SUNDIALS, *SCIPY, *STABILISED), tolerances=TOLERANCES,
        t1=1000.0, repeats=3, save_times=[1000.0], reference=("dop853", "dopri8"), max_steps=200_000, atol_ratio=1e-2,
    )  # fmt: skip
    show("tanh network, squared loss, t = 1000", found)


def main(*cases: str) -> None:
    jax.config.update("jax_enable_x64", True)
    for case in cases or ("10", "tanh"):
        if case == "tanh":
            on_tanh_network()
        else:
            on_transformer(float(case))


if __name__ == "__main__":
    main(*sys.argv[1:])
