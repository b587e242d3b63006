"""Other packages that integrate many small systems on an accelerator, for `benchmarks/gpu.py`. None is needed.

Each is given the flow whose bare Diffrax and flowsim rows are beside it, and the loosest of some tolerances at which
the largest error of all members' losses is no larger than the larger of theirs. Starts and ends are host arrays, as in
their own entry points, so that copies count, which they do for flowsim and not for bare Diffrax.

- gradsolve (0.2.1 of September 2026): with Warp (`pip install 'gradsolve[warp]'`) a fused adaptive Tsit5 kernel that it
  makes from the JAX vector field; without, its Tsit5 of JAX, which keeps the length of every step. Both by name: with
  `nvcc` on the path its router picks a kernel that knows built-in fields only, and else Diffrax.
- modax-solvers (0.0.4 of October 2026): adaptive Tsit5 in a CUDA kernel, with a Numba function for the vector field; so
  on NVIDIA cards only. Its row has not run yet: no such card was at hand where it installs. One of its dependencies,
  numba-enzyme-cuda, has no wheel and downloads a compiler while it is built.
"""

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import flowsim

NUMBERS, T1 = 9, 1.0
TOLERANCES = tuple(10.0 ** (-k / 2) for k in range(6, 21))  # 1e-3 … 1e-10

Run = Callable[[float], Any]


def growth(start: jax.Array) -> flowsim.Problem:
    """Numbers that grow along logistic curves."""
    return flowsim.Problem.from_loss(loss, start)


def loss(x: Any) -> Any:
    return (x**3 / 3 - x**2 / 2).sum(-1)


def starts(members: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, (members, NUMBERS))


def error(begun: np.ndarray, losses: Any) -> float:
    """The largest of the losses at the end, from the curves' formula."""
    return float(np.max(np.abs(np.asarray(losses) - loss(1 / (1 + (1 / begun - 1) * np.exp(-T1))))))


LIMIT_T1 = 10.0


def limit(seed: Any) -> flowsim.Problem:
    """The paper's limit of infinite width: 32 numbers, with words and a start of its own for every seed."""
    samples, length, vocabulary = 36, 4, 32
    task_key, start_key = jax.random.split(jax.random.key(seed))
    task = flowsim.tasks.cooccurrence(samples=samples, length=length, vocabulary=vocabulary, key=task_key)
    model = flowsim.models.InfiniteWidthTransformer(vocabulary=vocabulary)
    return flowsim.Problem(flowsim.init.theory(length=length)(model, key=start_key), task)


def limit_risk(G: Any, tokens: Any, labels: Any) -> np.ndarray:
    """Its loss, from all members' G at the end: attention is uniform, so that F(X) is the sum of G over the words.

    By NumPy: jaxlib 0.10.2 compiles a small matrix product that is summed wrongly on a CPU (jax-ml/jax, issue 39103).
    """
    scores = np.take_along_axis(np.asarray(G)[:, None], np.asarray(tokens), axis=2).sum(2)
    return np.logaddexp(0, -np.asarray(labels) * scores).mean(1)


class Rival(NamedTuple):
    """A package by its name on the index. `make`: from starts to what gives the ends at a tolerance, and its method."""

    name: str
    module: str
    make: Callable[[np.ndarray], tuple[str, Run]]


class _Logistic:
    """The problem as gradsolve asks for it; one object, by which it finds its compiled programs again."""

    name, dim, t0, t1, is_stiff = "flowsim_growth", NUMBERS, 0.0, T1, False

    def f_jax(self, t, y, p):
        return y * (1 - y)  # by hand: Warp is given no gradient of a sum


_LOGISTIC = _Logistic()


def _gradsolve(begun: np.ndarray) -> tuple[str, Run]:
    import gradsolve

    engine = "tsit5_replay" if importlib.util.find_spec("warp") is None else "warp_ode"
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    nothing = np.zeros((len(begun), 1))  # it wants parameters for every member

    def run(rtol):
        found = gradsolve.solve(
            _LOGISTIC, begun, nothing, engine=engine, fused=True, rtol=rtol, atol=rtol / 100, device=device
        )
        return found.y_final

    return engine, run


def _rates(y, t, p):
    """The same field for Numba, which takes tuples of numbers only."""
    return (
        y[0] * (1 - y[0]), y[1] * (1 - y[1]), y[2] * (1 - y[2]), y[3] * (1 - y[3]), y[4] * (1 - y[4]),
        y[5] * (1 - y[5]), y[6] * (1 - y[6]), y[7] * (1 - y[7]), y[8] * (1 - y[8]),
    )  # fmt: skip


def _modax(begun: np.ndarray) -> tuple[str, Run]:
    if jax.default_backend() != "gpu":
        raise RuntimeError("its kernels are for NVIDIA cards")
    from modax.tsit5 import solve

    times, nothing = jnp.array([0.0, T1]), jnp.zeros((len(begun), 1))
    return "Tsit5", lambda rtol: np.asarray(solve(_rates, begun, times, nothing, rtol=rtol, atol=rtol / 100)[:, -1])


RIVALS = (Rival("gradsolve", "gradsolve", _gradsolve), Rival("modax-solvers", "modax", _modax))


def note(rival: Rival, begun: np.ndarray, bar: float, ours: float) -> str:
    """What there is to say of a rival; `bar`: the error that it must not exceed; `ours`: flowsim's seconds."""
    if importlib.util.find_spec(rival.module) is None:
        return f"not installed (pip install {rival.name})"
    version = importlib.metadata.version(rival.name)
    try:
        kind, run = rival.make(begun)
        found = _fast(run, begun, bar)
    except Exception as reason:  # a rival's failure is a result, and none of the table
        return f"{version} does not run here: {type(reason).__name__}: {str(reason).splitlines()[0][:120]}"
    if found is None:
        return f"{version}, {kind}: no tolerance down to {TOLERANCES[-1]:g} gives an error of at most {bar:.2g}"
    first, seconds, rtol, reached = found
    rate, times = len(begun) / seconds, ours / seconds
    return (
        f"{version}, {kind}: {seconds:.3g} s, {rate:.3g} trajectories a second, first call {first:.3g} s; "
        f"rtol {rtol:.1g}, error {reached:.1g}; flowsim takes {times:.2g} times as long"
    )


def _fast(run: Run, begun: np.ndarray, bar: float) -> tuple[float, float, float, float] | None:
    """Seconds of the first call, and of the best later one at the loosest tolerance that will do; that; its error."""
    first = None
    for rtol in TOLERANCES:
        before = time.perf_counter()
        ends = run(rtol)
        first = first or time.perf_counter() - before
        reached = error(begun, loss(np.asarray(ends)))
        if reached <= bar:  # false for what is not a number
            return first, min(_seconds(run, rtol) for _ in range(3)), rtol, reached
    return None


def _seconds(run: Run, rtol: float) -> float:
    before = time.perf_counter()
    run(rtol)
    return time.perf_counter() - before
