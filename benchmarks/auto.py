"""`auto` against the best named solver on twelve small problems, in evaluations at equal tolerance.

python -m benchmarks.auto [name ...]    default: all twelve

Named solvers count where the error at the end is at most ten times the tolerance. Error: distance of the final
parameters to those of `auto` at a tolerance 100 times tighter, over the distance that the flow travelled.
"""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp

import flowsim
from flowsim import _tree, models, tasks

NAMED = ("tsit5", "dopri8", "dop853", "exponential", "stabilized", "stabilized4")
MOST_STEPS = 30_000
Case = tuple[flowsim.Problem, float, float]  # problem, t1, rtol


def _keys(count: int):
    return jax.random.split(jax.random.key(0), count)


def _words(loss, t1: float, rtol: float, *, distinct: bool = False) -> Case:
    keys = _keys(3)
    task = tasks.cooccurrence(
        samples=12, length=4, vocabulary=48 if distinct else 8, distinct_words=distinct, key=keys[0]
    )
    model = models.CooccurrenceTransformer(vocabulary=task.vocabulary, width=8, neurons=8, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task, loss=loss), t1, rtol


def words_logistic() -> Case:
    """Accuracy sizes the steps."""
    return _words(flowsim.losses.logistic, 1e4, 1e-8)


def words_squared() -> Case:
    """Stiff from the start on."""
    return _words(flowsim.losses.squared, 100.0, 1e-4)


def sparse_words() -> Case:
    """Every random word once."""
    return _words(flowsim.losses.squared, 100.0, 1e-6, distinct=True)


def _network(sizes, t1: float, rtol: float) -> Case:
    keys = _keys(2)
    task = tasks.regression(samples=24, features=sizes[0], teacher="tanh", key=keys[0])
    return flowsim.Problem(models.MLP(sizes=sizes, activation="tanh", key=keys[1]), task, loss="squared"), t1, rtol


def tanh_network() -> Case:
    """Two hidden layers."""
    return _network((4, 16, 16, 1), 300.0, 1e-4)


def wide() -> Case:
    """One hidden layer of 512 neurons."""
    return _network((3, 512, 1), 30.0, 1e-5)


def linear_network() -> Case:
    """Three layers, singular values from 4 down to 0.1."""
    keys = _keys(2)
    spectrum = (4.0, 1.0, 0.3, 0.1)
    task = tasks.regression(samples=16, features=4, outputs=4, spectrum=spectrum, whitened=True, key=keys[0])
    return flowsim.Problem(models.DeepLinear(sizes=(4, 6, 6, 4), key=keys[1]), task, loss="squared"), 300.0, 1e-8


def attention() -> Case:
    """Two layers of attention alone, cross-entropy."""
    keys = _keys(2)
    task = tasks.next_token(samples=12, length=5, vocabulary=6, predict="last", key=keys[0])
    model = models.Transformer(
        vocabulary=6, outputs=6, layers=2, width=8, residual=True, readout="last", train_readout=True, key=keys[1]
    )
    return flowsim.Problem(model, task, loss="cross_entropy"), 300.0, 1e-4


def in_context() -> Case:
    """Population risk of linear attention on in-context regression (Zhang, Frei, Bartlett 2024, Lemma 5.2)."""
    values, prompts = jnp.array([3.0, 1.0, 0.3, 0.1]), 20
    gamma = (1 + 1 / prompts) * values + jnp.sum(values) / prompts

    def risk(p):
        u, matrix = p["u"], p["U"]
        fit = jnp.sum((gamma * values)[:, None] * matrix * values[None, :] * matrix) / 2
        return u**2 * fit - u * jnp.sum(values**2 * jnp.diag(matrix))

    return flowsim.Problem.from_loss(risk, {"u": jnp.asarray(0.3), "U": 0.3 * jnp.eye(4) / 2}), 1e3, 1e-7


def modular_addition() -> Case:
    """a + b modulo 5, squares of sums of embeddings."""
    p, width = 5, 12
    keys = _keys(3)
    a, b = jnp.meshgrid(jnp.arange(p), jnp.arange(p), indexing="ij")
    label = jax.nn.one_hot((a + b) % p, p)
    start = [jax.random.normal(keys[0], (p, width)) / 2, jax.random.normal(keys[1], (p, width)) / 2,
             jax.random.normal(keys[2], (width, p)) / 4]  # fmt: skip

    def risk(w):
        return jnp.mean(jnp.sum((((w[0][a] + w[1][b]) ** 2) @ w[2] - label) ** 2, axis=-1)) / 2

    return flowsim.Problem.from_loss(risk, start), 200.0, 1e-5


def _wandering(curvature: Callable, t1: float = 20.0, rtol: float = 1e-5) -> Case:
    """x follows sin(y) in a valley whose curvature depends on y, which moves on at an almost constant rate."""

    def risk(p):
        return curvature(p["y"]) * (p["x"] - jnp.sin(p["y"])) ** 2 / 2 - p["y"]

    return flowsim.Problem.from_loss(risk, {"x": jnp.asarray(1.0), "y": jnp.asarray(0.0)}), t1, rtol


def stiff_in_the_middle() -> Case:
    """λ = 2, then 3 000, then 2 again."""
    return _wandering(lambda y: 2 + 3000 * jax.nn.sigmoid(4 * (y - 6)) * jax.nn.sigmoid(4 * (14 - y)))


def stiff_at_the_end() -> Case:
    """λ = 2, then 3 000."""
    return _wandering(lambda y: 2 + 3000 * jax.nn.sigmoid(4 * (y - 10)))


def stiff_five_times() -> Case:
    """λ between 2 and 3 000, and back, five times."""
    return _wandering(lambda y: 2 + 3000 * jnp.sin(jnp.pi * y / 8) ** 8, 40.0)


CASES = (
    words_logistic, words_squared, tanh_network, linear_network, attention, in_context, modular_addition, sparse_words,
    wide, stiff_in_the_middle, stiff_at_the_end, stiff_five_times,
)  # fmt: skip


def _flow(case: Case, solver: str, tighter: float = 1.0) -> flowsim.Result:
    problem, t1, rtol = case
    rtol, most = rtol / tighter, MOST_STEPS if tighter == 1 else 1_000_000
    return flowsim.simulate(problem, t1=t1, solver=solver, rtol=rtol, atol=rtol / 100, save_times=[t1], max_steps=most)


def show(name: str, case: Case) -> None:
    """A line of the table."""
    problem, _, rtol = case
    reference = _flow(case, "auto", 100.0).parameters
    travelled = float(_tree.norm(_tree.subtract(reference, problem.parameters)))

    def error(result: flowsim.Result) -> float:
        """Over the tolerance."""
        return float(_tree.norm(_tree.subtract(result.parameters, reference))) / travelled / rtol

    auto = _flow(case, "auto")
    others = {solver: _flow(case, solver) for solver in NAMED}
    found = {s: (r.solver.vector_field_evaluations, error(r)) for s, r in others.items() if r.status.ok}
    best = min((s for s in found if found[s][1] <= 10), key=lambda s: found[s][0])
    mine, least = auto.solver.vector_field_evaluations, found[best][0]
    switches = " ".join(f"{switch.kind}@{switch.time:.3g}" for switch in auto.solver.switches)
    rest = " ".join(f"{s}:{n}({e:.2g})" for s, (n, e) in found.items())
    print(
        f"{name:22}{mine:8}{least:8}  {best:14}{mine / least:7.2f}  ({error(auto):.2g}) {switches}; {rest}", flush=True
    )


def main(*names: str) -> None:
    jax.config.update("jax_enable_x64", True)
    print(
        f"{'problem':22}{'auto':>8}{'best':>8}  by              ratio  switches of auto; all others (error/tolerance)"
    )
    for make in CASES:
        if not names or make.__name__ in names:
            show(make.__name__, make())


if __name__ == "__main__":
    main(*sys.argv[1:])
