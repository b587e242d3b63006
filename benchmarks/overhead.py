"""flowsim's loop against a bare `diffrax.diffeqsolve` of the same problem, solver and tolerance, side by side.

python -m benchmarks.overhead [REPEATS]
"""

import statistics
import sys
import time

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

import flowsim
from flowsim.simulation import Settings, prepare
from flowsim.simulation import run as integrate


def paper_problem():
    keys = jax.random.split(jax.random.key(0), 3)
    task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=64, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=64, width=128, neurons=256, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


@eqx.filter_jit
def bare(problem, t1, rtol, atol, solver):
    """The user's own loop: nothing but Diffrax."""

    def field(t, y, args):
        return jax.tree.map(jnp.negative, jax.grad(problem.risk)(y))

    return diffrax.diffeqsolve(
        diffrax.ODETerm(field), solver, 0.0, t1, None, problem.parameters,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), max_steps=100_000, throw=False,
    )  # fmt: skip


def once(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(repeats=9):
    jax.config.update("jax_enable_x64", True)
    problem, t1, rtol, atol = paper_problem(), 300.0, 1e-8, 1e-10
    for kind, solver in (("dopri8", diffrax.Dopri8()), ("tsit5", diffrax.Tsit5())):
        prepared = {
            name: prepare(
                problem, Settings(t1, kind, rtol, atol), save_times=[0.0, t1], reduction="none", events=events
            )
            for name, events in (("flow", []), ("flow, phase1_end", [flowsim.events.phase1_end()]))
        }
        prepared["flow, default reduction"] = prepare(problem, Settings(t1, kind, rtol, atol), save_times=[0.0, t1])
        saved = prepare(problem, Settings(t1, kind, rtol, atol), reduction="none")

        def bare_run(s=solver):
            return jax.block_until_ready(bare(problem, jnp.asarray(t1), jnp.asarray(rtol), jnp.asarray(atol), s).ys)

        work = {"bare diffeqsolve": bare_run}
        work |= {name: (lambda p=p: integrate(p)) for name, p in prepared.items()}
        work["flow, 200 saved times"] = lambda p=saved: integrate(p)
        seconds = {name: [] for name in work}
        for run in work.values():
            run()  # compile
        for _ in range(repeats):
            for name, run in work.items():
                seconds[name].append(once(run))
        base = statistics.median(seconds["bare diffeqsolve"])
        for name, values in seconds.items():
            middle = statistics.median(values)
            print(f"{kind:8s} {name:24s} {middle:8.4f} s   {middle / base:5.2f} x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
