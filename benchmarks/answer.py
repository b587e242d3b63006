"""What a user waits for: flowsim's whole answer, beside Diffrax's solve alone and with the same probes saved.

python -m benchmarks.answer [REPEATS]

The whole answer is 200 rows of the standard probes, four events and a certificate. CPU seconds, since compilation and
products use several cores; the first call is apart, in a first process that compiles and in a second one that finds the
compiled programs on disk.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim import events, probes, saving
from flowsim.moment import Lift, Moment

from .overhead import bare, paper_problem

RTOL, ATOL = 1e-8, 1e-10
BARE, SAVED = "Diffrax Tsit5, bare", "Diffrax Tsit5, SaveAt(fn=probes)"
LOOP, EVENT, WHOLE = "flowsim, 200 rows", "flowsim, one event", "flowsim, whole answer"


def work(problem, t1):
    """Name -> function that computes the answer and gives the final parameters."""
    times = saving.log_times(t1)
    four = [
        events.phase1_end(), events.common_word_turns(), events.mlp_aligned(level=1.0),
        events.attention_moves(epsilon=0.01),
    ]  # fmt: skip
    numbers = [jnp.asarray(x) for x in (t1, RTOL, ATOL)]
    options = {"t1": t1, "rtol": RTOL, "atol": ATOL}

    def ours(**more):
        return lambda: flowsim.simulate(problem, **options, **more).parameters

    def whole():
        result = flowsim.simulate(problem, **options, events=four, certificate=True)
        assert result.certificate is not None
        return result.parameters

    return {
        BARE: lambda: jax.tree.map(lambda y: y[-1], bare(problem, *numbers, diffrax.Tsit5()).ys),
        SAVED: lambda: saved(problem, *numbers, jnp.asarray(times))[0],
        LOOP: ours(certificate=False),
        EVENT: ours(events=[events.phase1_end()], certificate=False),
        WHOLE: whole,
    }


@eqx.filter_jit
def saved(problem, t1, rtol, atol, times):
    """The final parameters, and the standard probes at `times`."""
    chosen, lift = probes.standard(problem), Lift(problem, None, True)
    rows = diffrax.SubSaveAt(ts=times, fn=lambda t, y, _: probes.measure_all(chosen, Moment(problem, t, y, lift)))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, _: jax.tree.map(jnp.negative, jax.grad(problem.risk)(y))),
        diffrax.Tsit5(), 0.0, t1, None, problem.parameters,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), max_steps=100_000, throw=False,
        saveat=diffrax.SaveAt(subs=[rows, diffrax.SubSaveAt(t1=True)]),
    )  # fmt: skip
    return jax.tree.map(lambda y: y[-1], solution.ys[1]), solution.ys[0]


_compiled = []  # seconds of each program so far


def _listen(event, seconds, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled.append(seconds)


jax.monitoring.register_event_duration_secs_listener(_listen)


def measured(problem, t1, repeats):
    """Name -> CPU seconds of the first call beyond a later one, and of a later one; programs; final parameters."""
    found = {}
    for name, run in work(problem, t1).items():
        before = len(_compiled)
        first, end = _timed(run)
        programs = len(_compiled) - before
        later = statistics.median(_timed(run)[0] for _ in range(repeats))
        found[name] = {"first": first - later, "seconds": later, "programs": programs, "end": end}
    return found


def _timed(run):
    start = time.process_time()
    end = jax.block_until_ready(run())
    return time.process_time() - start, end


def _child(repeats):
    """One process, as JSON."""
    jax.config.update("jax_enable_x64", True)
    flowsim.cache.enable()
    found = measured(paper_problem(), 300.0, repeats)
    flat = {name: np.concatenate([np.ravel(x) for x in jax.tree.leaves(one.pop("end"))]) for name, one in found.items()}
    for name, one in found.items():
        one["apart"] = float(np.linalg.norm(flat[name] - flat[BARE]) / np.linalg.norm(flat[BARE]))
    print(json.dumps(found))


def main(repeats=5):
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION_CACHE")}
        command = [sys.executable, "-m", "benchmarks.answer", "child", str(repeats)]
        runs = [
            json.loads(subprocess.check_output(command, env=environment | {"FLOWSIM_CACHE": folder}).splitlines()[-1])
            for _ in range(2)
        ]
    print(f"{'':34s} {'seconds':>8s} {'ratio':>6s} {'first call':>11s} {'2nd process':>11s} programs   apart")
    for name, one in runs[0].items():
        second = runs[1][name]
        ratio = one["seconds"] / runs[0][BARE]["seconds"]
        print(f"{name:34s} {one['seconds']:8.3f} {ratio:6.2f} {one['first']:11.2f} {second['first']:11.2f} "
              f"{one['programs']:8d} {one['apart']:9.1e}")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(int(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:]))
