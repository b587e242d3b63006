"""How each kind of method is run: flowsim's solvers by name, other packages' as `scipy_*`, `sundials_*`, `optax_*`."""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import descent, probes
from ..events import Event
from ..moment import Lift, Moment
from ..problem import Problem
from ..result import assemble
from ..simulation import Settings, Stopwatch, prepare, run
from ..solver_names import COMPARABLE, OPTAX, SCIPY, SUNDIALS
from . import packages


@dataclasses.dataclass(frozen=True)
class Task:
    """What every method is to do."""

    problem: Problem
    t1: float
    events: Sequence[Event]
    save_times: np.ndarray
    atol_ratio: float
    repeats: int  # timed ones; 0 for a reference, whose time is of no interest
    max_steps: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a method gave; `parameters` flat, `rows` of scalar probes at the task's save times."""

    status: str
    parameters: np.ndarray
    rows: Mapping[str, np.ndarray]
    event_times: Mapping[str, float]
    evaluations: int
    steps: float
    rejected: float
    seconds: tuple[float, ...]
    seconds_compile: float


def known() -> tuple[str, ...]:
    """Names of all methods."""
    return COMPARABLE


def is_optimizer(solver: str) -> bool:
    return solver in OPTAX


def solve(task: Task, solver: str, setting: float) -> Outcome:
    """Run one method. `setting`: relative tolerance; learning rate of an optimizer; step of `euler`."""
    if solver in SCIPY or solver in SUNDIALS:
        return _packaged(task, solver, setting)
    if solver in OPTAX:
        return _optax(task, OPTAX[solver], setting)
    return _flowsim(task, solver, setting)


def flat(parameters: PyTree) -> np.ndarray:
    return np.asarray(jax.flatten_util.ravel_pytree(parameters)[0])


def _flowsim(task: Task, solver: str, setting: float) -> Outcome:
    fixed = setting if solver == "euler" else None
    rtol = 1e-6 if solver == "euler" else setting
    settings = Settings(task.t1, solver, rtol, rtol * task.atol_ratio, fixed, task.max_steps)
    prepared = prepare(task.problem, settings, events=task.events, save_times=task.save_times, reduction="none")
    first = assemble(prepared, run(prepared))  # traces and compiles
    results = [assemble(prepared, run(prepared)) for _ in range(task.repeats)] if task.repeats else [first]
    last = results[-1]
    scalars = {name: values for name, values in last.trajectory.values.items() if values.ndim == 1}
    whole = all(len(values) == len(task.save_times) for values in scalars.values())
    return Outcome(
        status=last.status.kind,
        parameters=flat(last.parameters),
        rows=scalars if whole else {},
        event_times={name: math.nan if e.time is None else float(e.time) for name, e in last.events.items()},
        evaluations=last.solver.vector_field_evaluations,
        steps=float(last.solver.steps),
        rejected=float(last.solver.rejected),
        seconds=tuple(result.solver.seconds_run for result in results),
        seconds_compile=first.solver.seconds_compile,
    )


def _packaged(task: Task, solver: str, rtol: float) -> Outcome:
    field = packages.Field(task.problem)
    watch = Stopwatch()
    field.compile(products=solver in SUNDIALS)
    seconds_compile, _ = watch.read()
    seconds, path = [], None
    for _ in range(max(task.repeats, 1)):
        field.evaluations, began = 0, time.perf_counter()
        path = packages.solve(solver, field, task.save_times, rtol, rtol * task.atol_ratio, task.max_steps)
        seconds.append(time.perf_counter() - began)
    assert path is not None
    return Outcome(
        status="done" if path.done else "step_size_floor",
        parameters=path.states[-1],
        rows=_measure(task.problem, task.save_times, path.states, field.unravel) if path.done else {},
        event_times={},
        evaluations=field.evaluations,
        steps=math.nan,  # these packages keep the saved times only
        rejected=math.nan,
        seconds=tuple(seconds),
        seconds_compile=seconds_compile,
    )


def _measure(problem: Problem, times, states, unravel) -> dict[str, np.ndarray]:
    """Scalar standard probes at states that another package's solver gave."""
    chosen = probes.standard(problem)

    @jax.jit
    def all_of(t, x):
        return probes.measure_all(chosen, Moment(problem, t, unravel(x), Lift(problem, None)))

    rows = [jax.device_get(all_of(jnp.asarray(t), jnp.asarray(x))) for t, x in zip(times, states, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if rows[0][name].ndim == 0}


def _optax(task: Task, kind: str, learning_rate: float) -> Outcome:
    steps = max(round(task.t1 / learning_rate), 1)
    transformation = descent.optimizer(kind, learning_rate)
    end, spent = np.empty(0), []
    for _ in range(task.repeats + 1):  # the first one compiles
        watch = Stopwatch()
        last = descent.descend(task.problem, transformation, learning_rate=learning_rate, steps=steps, points=2)
        end = flat(last.parameters)
        spent.append(watch.read())
    seconds, compiling = [running for _, running in spent[1:]], spent[0][0]
    return Outcome(
        "done" if np.all(np.isfinite(end)) else "not_finite",
        end,
        {},
        {},
        steps,
        float(steps),
        0.0,
        tuple(seconds),
        compiling,
    )
