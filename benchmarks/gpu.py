"""What an accelerator gives: flowsim beside bare Diffrax, in one table.

python -m benchmarks.gpu [--small] [--only path seeds …] [--budget 330]

It needs JAX, Diffrax, Equinox and what they bring; no configuration or terminal packages. gradsolve and modax-solvers
have a row each where they are installed (`benchmarks/small_systems.py`). Rows that would start after the budget
(seconds) are named as not measured. `--small` is the same table at sizes for a CPU. The exit status is 1 where a row
failed, and where events or certificates differ from the CPU's.
"""

import argparse
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim import ensemble

from . import small_systems
from .gpu_row import HEAD, Row, line, timed, wrong


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of the work. `paper`, `wide`: samples, vocabulary, width, neurons. `networks`: width, neurons."""

    paper: tuple[int, int, int, int] = (60, 64, 128, 256)
    paper_t1: float = 300.0
    wide: tuple[int, int, int, int] = (60, 64, 2048, 2048)
    seeds: tuple[int, ...] = (1000, 10_000)
    networks: tuple[tuple[int, int], ...] = ((256, 1024), (640, 2560))
    sequences: tuple[int, int, int] = (64, 32, 64)  # samples, length, vocabulary
    members: int = 1_000_000
    limits: int = 100_000


SMALL = Sizes((12, 8, 6, 5), 2.0, (12, 8, 12, 12), (3,), ((8, 8), (12, 12)), (4, 4, 8), 50, 20)


def of_words(sizes: tuple[int, int, int, int], seed: Any = 0) -> flowsim.Problem:
    """The paper's transformer on its task; of a seed that may be traced."""
    samples, vocabulary, width, neurons = sizes
    keys = jax.random.split(jax.random.key(seed), 3)
    task = flowsim.tasks.cooccurrence(samples=samples, length=5, vocabulary=vocabulary, key=keys[0])
    model = flowsim.models.CooccurrenceTransformer(vocabulary=vocabulary, width=width, neurons=neurons, key=keys[1])
    return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


def of_sequences(sizes: Sizes, width: int, neurons: int) -> flowsim.Problem:
    """A next-token transformer of two layers, in the precision that JAX is set to."""
    samples, length, vocabulary = sizes.sequences
    task = flowsim.tasks.next_token(samples=samples, length=length, vocabulary=vocabulary, key=jax.random.key(0))
    model = flowsim.models.Transformer(
        vocabulary=vocabulary, outputs=vocabulary, layers=2, width=width, neurons=neurons, activation="gelu",
        residual=True, causal=True, layer_norm=True, embedding="learned", readout="each", key=jax.random.key(1),
    )  # fmt: skip
    return flowsim.Problem(model, task, loss="cross_entropy")


def end(problem: flowsim.Problem, t1: float, rtol: float) -> tuple[Any, Any]:
    """The flow's end by bare Diffrax, and the steps it tried."""
    dtype = jnp.result_type(*jax.tree.leaves(problem.parameters))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, parameters, args: problem.velocity(parameters)[0]), diffrax.Tsit5(),
        jnp.zeros((), dtype), jnp.asarray(t1, dtype), None, problem.parameters, saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 100), max_steps=None,
    )  # fmt: skip
    return solution.ys, solution.stats["num_steps"]


def path(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """Figure 1's flow: 200 rows and one event; then the same model far wider."""
    for name, shape, t1 in (("figure 1", sizes.paper, sizes.paper_t1), ("wide", sizes.wide, sizes.paper_t1 / 30)):
        problem, options = of_words(shape), {"t1": t1, "rtol": 1e-8, "atol": 1e-10}
        _, bare, _ = timed(functools.partial(eqx.filter_jit(end), problem, t1, 1e-8))
        first, ours, result = timed(
            lambda p=problem, o=options: flowsim.simulate(p, events=[flowsim.events.phase1_end()], **o)
        )
        note = f"{result.solver.kind}, {result.solver.vector_field_evaluations} gradients, {result.status.kind}"
        yield Row(f"{name}: widths {shape[2]}, {shape[3]}, t = {t1:g}", bare, ours, first, note)


def seeds(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """Many seeds of figure 1's flow, with rows and one event, without and with certificates.

    Every seed has its own words and its own start, made on the device by one traced call.
    """
    make, each = functools.partial(of_words, sizes.paper), 0.0  # seconds a member, as the last row had it
    bare_end = eqx.filter_jit(jax.vmap(lambda seed: end(make(seed), sizes.paper_t1, 1e-8)))
    options = {
        "t1": sizes.paper_t1,
        "rtol": 1e-8,
        "atol": 1e-10,
        "events": [flowsim.events.phase1_end()],
        "batch": sizes.seeds[0],  # one program for all batches
    }
    for members in sizes.seeds:
        numbers = np.arange(members)
        _, bare, _ = timed(functools.partial(bare_end, numbers), 1)
        for certificate in (False, True):
            kind = "certified" if certificate else "no certificates"
            repeats = int(members == sizes.seeds[0])  # what follows has no program of its own
            expected = (1 + repeats) * each * members * (2 if certificate else 1)
            if expected > left():
                yield Row(f"{members} seeds, {kind}", bare, note=f"not measured: would take about {expected:.0f} s")
                continue
            run = functools.partial(ensemble.simulate, make, numbers, certificate=certificate, **options)
            first, ours, result = timed(run, repeats)
            each = each if certificate else ours / members
            note = f"all reached the end: {result.ok}; {len(result.members.alone)} of them run by themselves"
            yield Row(f"{members} seeds, {kind}", bare, ours, first, note)


def networks(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """A transformer of two layers in both precisions: what a gradient costs inside a run, and memory a parameter."""
    yield from _network(sizes, sizes.networks[0])


def larger(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """The same for ten times as many parameters."""
    for size in sizes.networks[1:]:
        yield from _network(sizes, size)


def _network(sizes: Sizes, size: tuple[int, int]) -> Iterator[Row]:
    """The leanest first: what is told of memory is the process's peak so far."""
    for double, rtol, solvers in ((False, 1e-3, ("lean4", "tsit5")), (True, 1e-5, ("tsit5",))):
        with jax.enable_x64(double):
            problem = of_sequences(sizes, *size)
            count = sum(x.size for x in jax.tree.leaves(problem.parameters))
            _, gradient, _ = timed(functools.partial(eqx.filter_jit(problem.velocity), problem.parameters))
            for solver in solvers:
                run = functools.partial(flowsim.simulate, problem, t1=1.0, solver=solver, rtol=rtol, save_times=[1])
                first, ours, result = timed(run, 1)
                spent = result.solver.vector_field_evaluations
                note = f"{spent} gradients, each {ours / spent / gradient:.2f} of one alone; {_peak(count, double)}"
                name = f"{count} parameters, {'float64' if double else 'float32'}, {solver}"
                yield Row(name, None, ours, first, note)


def _peak(size: int, double: bool) -> str:
    """Numbers of memory a parameter at the process's peak so far, and what a low-storage method is to take."""
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return "memory not known" if peak is None else f"peak so far {peak / size / (8 if double else 4):.0f} a parameter"


def trajectories(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """Many small systems: trajectories a second; then other packages that are made for them, at the same error."""
    begun = small_systems.starts(sizes.members)
    starts, t1 = jnp.asarray(begun), small_systems.T1
    bare_end = eqx.filter_jit(jax.vmap(lambda start: end(small_systems.growth(start), t1, 1e-6)))
    _, bare, (ends, _) = timed(functools.partial(bare_end, starts))
    theirs = small_systems.error(begun, small_systems.loss(np.reshape(jax.tree.leaves(ends)[0], begun.shape)))
    options = {"t1": t1, "solver": "tsit5", "rtol": 1e-6, "keep": ["loss"], "save_times": [t1]}
    half = flowsim.events.crossing("half", _first_half, direction="up")
    alone, error = 0.0, theirs
    for name, events in (("loss at the end", []), ("and one event", [half])):
        run = functools.partial(ensemble.simulate, small_systems.growth, starts, events=events, **options)
        first, ours, result = timed(run, 1)
        reached = small_systems.error(begun, result.members.values("loss", np.array([t1]))[:, 0])
        if not events:
            alone, error = ours, max(theirs, reached)
        note = (f"{sizes.members / ours:.3g} trajectories a second, {bare / ours:.2g} of the bare rate; "
                f"error {reached:.1g}, bare {theirs:.1g}")  # fmt: skip
        yield Row(f"{sizes.members} systems of {begun.shape[1]} numbers, {name}", bare, ours, first, note)
    for rival in small_systems.RIVALS:
        yield Row(f"the same by {rival.name}", note=small_systems.note(rival, begun, error, alone))


def _first_half(t, x):
    return x[0] - 0.5


def limits(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """The paper's limit of infinite width for many seeds, each made on the device: the end of the flow."""
    make, t1, numbers = small_systems.limit, small_systems.LIMIT_T1, np.arange(sizes.limits)
    bare_end = eqx.filter_jit(jax.vmap(lambda seed, rtol: end(make(seed), t1, rtol)[0].G[0], (0, None)))
    _, bare, theirs = timed(functools.partial(bare_end, numbers, jnp.asarray(1e-6)))
    options = {"solver": "tsit5", "rtol": 1e-6, "probes": {"G": lambda model: model.G}, "keep": ["G"]}
    run = functools.partial(ensemble.simulate, make, numbers, t1=t1, save_times=[t1], **options)
    first, ours, result = timed(run, 1)
    words = jax.jit(jax.vmap(lambda seed: (lambda task: (task.tokens, task.labels))(make(seed).samples)))(numbers)
    exact = small_systems.limit_risk(bare_end(numbers, jnp.asarray(1e-11)), *words)
    ends = theirs, result.members.values("G", np.array([t1]))[:, 0]
    errors = [np.max(np.abs(small_systems.limit_risk(G, *words) - exact)) for G in ends]
    note = (f"{sizes.limits / ours:.3g} trajectories a second, {bare / ours:.2g} of the bare rate; "
            f"error {errors[1]:.1g}, bare {errors[0]:.1g}; all reached the end: {result.ok}")  # fmt: skip
    yield Row(f"{sizes.limits} limits of infinite width, {ends[0].shape[1]} numbers, the end", bare, ours, first, note)


AGREE = 1e-9  # how far an event's time and a certificate may be from the CPU's


class Outcome(NamedTuple):
    """What is compared of a run."""

    times: np.ndarray
    bound: float


def agreement(sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """The event's time and the certificate here and on the host."""
    if jax.default_backend() == "cpu":
        yield Row("events and certificates beside the CPU's", note="this is a CPU: nothing to compare")
        return
    yield judged(*(outcome(sizes, device) for device in (jax.devices()[0], jax.devices("cpu")[0])))


def outcome(sizes: Sizes, device: Any) -> Outcome:
    """Of figure 1's flow on a device."""
    with jax.default_device(device):
        event = flowsim.events.phase1_end()
        result = flowsim.simulate(of_words(sizes.paper), t1=sizes.paper_t1, events=[event], certificate=True)
        return Outcome(np.asarray(result.crossings["phase1_end"].times), result.certificate.relative_error)


def judged(here: Outcome, there: Outcome) -> Row:
    """Are they equal to `AGREE`? Times by their ratio; bounds as they are, which are over the distance travelled.

    No event, another number of them, or a bound that is withheld is no agreement.
    """
    name = f"events and certificates equal to the CPU's to {AGREE:g}"
    if not here.times.size == there.times.size > 0:
        note = f"does not hold: {here.times.size} events, and {there.times.size} on the CPU"
        return Row(name, note=note, holds=False)
    apart = float(np.max(np.abs(here.times / there.times - 1)))
    holds = bool(apart <= AGREE and abs(here.bound - there.bound) <= AGREE)  # false for what is not a number
    said = "holds" if holds else "does not hold"
    note = f"{said}: events apart by {apart:.1g}, certificates {here.bound:.4g} and {there.bound:.4g}"
    return Row(name, note=note, holds=holds)


ROWS: dict[str, Callable[[Sizes, Callable[[], float]], Iterator[Row]]] = {
    f.__name__: f for f in (path, agreement, networks, larger, trajectories, limits, seeds)
}


def measured(sizes: Sizes, names: Sequence[str], budget: float) -> Iterator[Row]:
    """Every row, as it comes. One that fails, for want of memory for example, is in the table with its reason."""
    began = time.perf_counter()

    def left() -> float:
        return began + budget - time.perf_counter()

    for name in names:
        if left() < 0:
            yield Row(name, note="not measured: out of time")
            continue
        jax.clear_caches()  # or flowsim would drop them at its bound, and a row's second call would compile again
        try:
            for row in ROWS[name](sizes, left):
                yield row
                if left() < 0:
                    yield Row(name, note="what is left of it is not measured: out of time")
                    break
        except Exception as error:
            yield Row(name, note=f"failed: {type(error).__name__}: {str(error).splitlines()[0][:120]}")


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--budget", type=float, default=330.0)
    asked = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    print(f"{device.device_kind} ({device.platform}), JAX {jax.__version__}, Diffrax {diffrax.__version__}, "
          f"flowsim {flowsim.__version__}", flush=True)  # fmt: skip
    rows = []
    print(HEAD, flush=True)
    for row in measured(SMALL if asked.small else Sizes(), [name for name in ROWS if name in asked.only], asked.budget):
        rows.append(row)
        print(line(row), flush=True)  # as it comes: a machine that is lent may be taken back
    return rows


def status(rows: Sequence[Row]) -> int:
    """The exit status; what is wrong is said after the whole table."""
    said = wrong(rows)
    print("\n".join(said), end="\n" if said else "", file=sys.stderr)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(status(main()))
