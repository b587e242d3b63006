"""The stabilized methods against Diffrax's explicit ones, SUNDIALS' and SciPy's on stiff flows (squared loss), at equal
error.

python -m benchmarks.stiff [t1 of the transformer | tanh ...]    default: 10 tanh; 11 minutes of CPU time in all

At t1 = 100 of Diffrax's only those that were cheapest at t1 = 10 are run.

CVODE (BDF, and Adams, with GMRES) takes exact Jacobian-vector products, each of them two evaluations like ours; SciPy's
LSODA and Radau difference quotients, which are counted too, as many as there are parameters for a Jacobian. They factor
it: in Radau complex besides, most of its 40 to 70 seconds a run on the tanh network. So they have fewer tolerances, and
are named as skipped where the Jacobian is larger. CVODE needs the extra `sundials`.

For each method the run with fewest evaluations whose error is at most 5e-3, at the best of its tolerances. Error:
distance of the final parameters to the reference's (dop853, checked by dopri8; two decades tighter) over the distance
that the flow travelled.
"""

import dataclasses
import statistics
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp

import flowsim
from flowsim.compare import Comparison, work_precision

EXPLICIT = ("tsit5", "bosh3", "heun", "midpoint")  # dopri5 is as tsit5 here, ralston as heun
CHEAPEST = ("heun", "midpoint")
SUNDIALS, SCIPY = ("sundials_bdf", "sundials_adams"), ("scipy_lsoda", "scipy_radau")
STABILISED = ("exponential", "stabilized", "stabilized4")
Settings = dict[str, tuple[float, ...]]
# Of the explicit methods stability sets the work, and the tolerance little but the error; the dense ones are slow.
SETTINGS: Settings = {
    **dict.fromkeys((*STABILISED, *SUNDIALS), (3e-2, 1e-2, 5e-3, 1e-3, 1e-4, 1e-5)),
    **dict.fromkeys(EXPLICIT, (1e-3, 1e-4, 1e-5)),
    **dict.fromkeys(SCIPY, (1e-2, 1e-3)),
}
LARGEST = 2_000_000  # numbers of a Jacobian: a factorization of the tanh network's, 1.4 million, takes 0.2 to 0.4 s
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


def show(name: str, comparison: Comparison, skipped: Sequence[str]) -> None:
    print("\n".join(("", name, comparison.table(), *skipped, "")), flush=True)
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


def tell(text: str) -> None:
    print(text, "…", file=sys.stderr, flush=True)


def compare(name: str, problem: flowsim.Problem, solvers: Sequence[str], t1: float, settings: Settings) -> None:
    """Every solver at its tolerances beside one reference, that of the first ones, which are the tightest."""
    jacobian = sum(x.size for x in jax.tree.leaves(problem.parameters)) ** 2
    left_out = [solver for solver in solvers if solver in SCIPY and jacobian > LARGEST]
    parts, kept = [], {}

    def keep(what, compute):
        if what not in kept:
            kept[what] = compute()
        return kept[what]

    for tolerances in dict.fromkeys(settings.values()):
        now = [solver for solver in solvers if settings[solver] == tolerances and solver not in left_out]
        if now:
            parts.append(work_precision(
                problem, solvers=now, tolerances=tolerances, t1=t1, save_times=[t1], repeats=1, max_steps=200_000,
                reference=("dop853", "dopri8"), atol_ratio=1e-2, keep=keep, progress=tell,
            ))  # fmt: skip
    whole = dataclasses.replace(parts[0], runs=[run for part in parts for run in part.runs])
    skipped = [f"{solver:<14}  skipped: its Jacobian has {jacobian:,} numbers" for solver in left_out]
    show(f"{name}, squared loss, t = {t1:g}", whole, skipped)


def on_transformer(t1: float) -> None:
    if t1 < 50:
        solvers, settings = (*STABILISED, *SUNDIALS, *EXPLICIT, *SCIPY), SETTINGS
    else:
        solvers = (*STABILISED, *SUNDIALS, *CHEAPEST, *SCIPY)
        settings = dict.fromkeys(solvers, (1e-2, 3e-3, 1e-3))
    compare("transformer", transformer(), solvers, t1, settings)


def on_tanh_network() -> None:
    compare("tanh network", tanh_network(), (*STABILISED, *SUNDIALS, *EXPLICIT, *SCIPY), 1000.0, SETTINGS)


def main(*cases: str) -> None:
    jax.config.update("jax_enable_x64", True)
    for case in cases or ("10", "tanh"):
        if case == "tanh":
            on_tanh_network()
        else:
            on_transformer(float(case))


if __name__ == "__main__":
    main(*sys.argv[1:])
