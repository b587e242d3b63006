"""What float32 leaves of a flow: plain sums beside compensated ones.

python -m benchmarks.rounding [floor] [stiff] [paper] [price]

`floor`: the error of many small steps against the closed form; `stiff`: slow directions beside some that keep the steps
small; `paper`: the quick model of the paper against float64; `price`: seconds of a step.
"""

import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim.config import load
from flowsim.experiment import build

STARTS = np.linspace(0.1, 0.9, 9, dtype=np.float32)
REPEATS = 3


def pair(problem: flowsim.Problem, truth: np.ndarray, label: str, **options) -> None:
    """One line: error over the distance travelled, plain and compensated, with what they cost."""
    start = np.asarray(jax.flatten_util.ravel_pytree(problem.parameters)[0], float)
    told = []
    for on in (False, True):
        result = flowsim.simulate(problem, compensated=on, **options)
        end = np.asarray(jax.flatten_util.ravel_pytree(result.parameters)[0], float)
        error = np.linalg.norm(end - truth) / np.linalg.norm(truth - start)
        cost = result.solver.vector_field_evaluations
        told.append(
            f"{error:9.1e} ({result.solver.steps} steps, {cost} gradients, energy {result.energy_identity:.0e})"
        )
    print(f"{label:22s} plain {told[0]}   compensated {told[1]}", flush=True)


def floor() -> None:
    """Fixed steps on nine logistic curves to t = 4."""
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.asarray(STARTS))
    truth = 1 / (1 + (1 / np.asarray(STARTS, float) - 1) * np.exp(-4.0))
    for solver in ("euler", "heun", "tsit5", "lean5"):
        for step in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
            pair(problem, truth, f"{solver} {step:g}", t1=4.0, solver=solver, step=step, save_times=[4.0])


def stiff() -> None:
    """Curvatures 100 … 3 and 1e-2 … 1e-5 to t = 1000 at rtol 1e-5; the former turned among themselves, then all."""
    _stiff(4)
    _stiff(8)


def _stiff(turned: int) -> None:
    rng = np.random.default_rng(0)
    turn = np.eye(8)
    turn[:turned, :turned] = np.linalg.qr(rng.normal(size=(turned, turned)))[0]
    matrix = (turn * [100.0, 30.0, 10.0, 3.0, 1e-2, 1e-3, 1e-4, 1e-5]) @ turn.T
    target, start = rng.normal(size=8).astype(np.float32), (rng.normal(size=8) + 2).astype(np.float32)
    single = jnp.asarray((matrix + matrix.T) / 2, np.float32)

    def loss(x):
        return (x - target) @ jnp.dot(single, x - target, precision="highest") / 2

    values, vectors = np.linalg.eigh(np.asarray(single, float))
    moved = vectors @ (np.exp(-1000.0 * values) * (vectors.T @ (start.astype(float) - target)))
    problem = flowsim.Problem.from_loss(loss, jnp.asarray(start))
    for solver in ("tsit5", "bosh3", "lean4", "stabilized", "stabilized4", "auto"):
        pair(
            problem,
            target + moved,
            f"{solver}, {turned} turned",
            t1=1000.0,
            solver=solver,
            rtol=1e-5,
            save_times=[1000.0],
        )


def paper() -> None:
    """Adaptive and fixed steps to t = 100 against float64 from the same numbers."""
    experiment = load("experiments/quick.yaml")
    whole = build.problem(experiment, pathlib.Path("experiments"))

    def as_type(tree, dtype):
        return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree)

    single = as_type(whole, jnp.float32)
    options = {"t1": 100.0, "save_times": [100.0]}
    best = flowsim.simulate(as_type(single, jnp.float64), solver="dopri8", rtol=1e-12, atol=1e-14, **options)
    truth = np.asarray(jax.flatten_util.ravel_pytree(best.parameters)[0])
    for solver in ("tsit5", "lean5"):
        for rtol in (1e-5, 1.2e-6):
            pair(single, truth, f"{solver} rtol {rtol:g}", solver=solver, rtol=rtol, atol=rtol / 100, **options)
        for step in (0.05, 0.01):
            pair(single, truth, f"{solver} step {step:g}", solver=solver, step=step, **options)


def price() -> None:
    """Seconds of a step where the gradient costs next to nothing: the most that compensation can cost."""
    curvatures = jnp.linspace(0.5, 1.0, 1_000_000, dtype=np.float32)
    large = flowsim.Problem.from_loss(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.ones_like(curvatures))
    for solver in ("tsit5", "lean4"):
        options = {"t1": 1.0, "solver": solver, "step": 0.01, "save_times": [1.0]}
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(REPEATS):
            for on, found in seconds.items():
                found.append(flowsim.simulate(large, compensated=on, **options).solver.seconds_run / 100)
        plain, other = (min(found) for found in seconds.values())
        print(f"{solver}, 10⁶ numbers, no gradient to speak of: {plain:.2e} s a step, {other / plain:.2f} times")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    tables = {"floor": floor, "stiff": stiff, "paper": paper, "price": price}
    for name in sys.argv[1:] or tables:
        print(f"# {name}")
        tables[name]()
