"""Work against precision, of solvers on one problem."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .. import saving
from ..events import Event
from ..problem import Problem
from ..solver_names import OPTAX
from . import packages
from .methods import Outcome, Task, flat, is_optimizer, known, solve
from .record import Comparison, Run

_REFERENCES = ("dop853", "dopri8", "stabilized4", "dopri5", "kvaerno5")  # those not under test make the reference
_TIGHTER = 100.0  # than the tightest method
_TIGHTEST = 1e-13


def work_precision(
    problem: Problem,
    *,
    solvers: Sequence[str] = ("tsit5", "dopri5", "bosh3", "stabilized"),
    tolerances: Sequence[float] = (1e-3, 1e-4, 1e-5, 1e-6),
    t1: float,
    learning_rates: Sequence[float] = (),
    events: Sequence[Event] = (),
    save_times: Sequence[float] | np.ndarray | None = None,
    atol_ratio: float = 1.0,
    reference: tuple[str, str] | None = None,
    repeats: int = 3,
    max_steps: int = 1_000_000,
    progress: Callable[[str], None] | None = None,
    keep: Callable[[str, Callable[[], Outcome]], Outcome] = lambda _, compute: compute(),
) -> Comparison:
    """Run every solver at every tolerance, and measure its error against a reference by another method.

    **Arguments:**

    - `solvers`: names that `flowsim solvers` lists (`euler` takes its steps from `learning_rates`), SciPy's as
      `scipy_rk23`, `scipy_rk45`, `scipy_dop853`, `scipy_lsoda`, `scipy_radau`, SUNDIALS' as `sundials_bdf`,
      `sundials_adams`, Optax's as `optax_sgd`, `optax_adam` ….
    - `tolerances`: relative tolerances.
    - `t1`: end of the flow.

    The rest can be left alone:

    - `learning_rates`: of the optimisers, and steps of `euler`.
    - `events`, `save_times`: whose times, and where probes, are compared; 50 logarithmically spaced times by default.
    - `atol_ratio`: absolute over relative tolerance.
    - `reference`: (solver, check), chosen among those not under test by default. It runs 100 times tighter.
    - `repeats`: timed repeats of every run.
    - `max_steps`: attempted steps after which a method has failed.
    - `progress`: told what comes next.
    - `keep`: given a name and a function, calls it or gives what it gave before: how an interrupted comparison is
      resumed.

    **Returns:** a `Comparison`; a method that fails is in it with its status and its error so far.

    **Raises:** `ValueError` for unknown names, a package that is missing, a reference that is under test, or if the
    reference itself fails.
    """
    judges = _judges(solvers, reference)
    packages.check(solvers, problem)
    rates = [name for name in solvers if is_optimizer(name) or name == "euler"]
    if rates and not learning_rates:
        raise ValueError(f"{', '.join(rates)} need learning_rates.")
    if min((*tolerances, *learning_rates), default=0.0) <= 0 or repeats < 1:
        raise ValueError("tolerances and learning_rates must be > 0 (at least one), and repeats at least 1.")
    if any(map(is_optimizer, rates)) and any(
        abs(t1 / one - round(t1 / one)) > 1e-6 * t1 / one for one in learning_rates
    ):
        raise ValueError(f"learning_rates must each be a whole number of times in t1 = {t1:g}: descent ends there.")
    times = saving.log_times(t1, points=50) if save_times is None else saving.with_ends(save_times, t1)
    task = Task(problem, t1, events, times, atol_ratio, repeats, max_steps)
    tell = progress or (lambda text: None)
    tight = max(min(tolerances, default=1e-8) / _TIGHTER, _TIGHTEST)
    truth, second = (keep(f"reference-{name}", lambda name=name: _judge(task, name, tight, tell)) for name in judges)
    start = flat(problem.parameters)
    travelled = float(np.linalg.norm(truth.parameters - start)) or math.ulp(1.0)
    runs = []
    for solver in solvers:
        for setting in learning_rates if solver in rates else tolerances:
            tell(f"{solver} at {setting:g}")
            outcome = keep(f"{solver}-{setting!r}", lambda s=solver, at=setting: solve(task, s, at))
            runs.append(_judged(solver, setting, outcome, truth, travelled))
    apart = float(np.linalg.norm(truth.parameters - second.parameters)) / travelled
    return Comparison(tuple(runs), t1, f"{judges[0]} at {tight:g}", f"{judges[1]} at {tight:g}", apart)


def _judges(solvers: Sequence[str], reference: tuple[str, str] | None) -> tuple[str, str]:
    unknown = [name for name in (*solvers, *(reference or ())) if name not in known()]
    if unknown:
        raise ValueError(f"unknown solver {unknown[0]!r}; known are {', '.join(known())}.")
    if reference is None:
        free = [name for name in _REFERENCES if name not in solvers]
        if len(free) < 2:
            raise ValueError(f"too many solvers to leave two for a reference: leave out two of {_REFERENCES}.")
        return free[0], free[1]
    if set(reference) & set(solvers) or len(set(reference)) < 2 or set(reference) & set(OPTAX):
        raise ValueError(f"the reference must be two different solvers that are not under test, got {reference}.")
    return reference


def _judge(task: Task, name: str, tolerance: float, tell: Callable[[str], None]) -> Outcome:
    tell(f"reference: {name} at {tolerance:g}")
    alone = Task(task.problem, task.t1, task.events, task.save_times, task.atol_ratio, 0, 100 * task.max_steps)
    outcome = solve(alone, name, tolerance)
    if outcome.status not in ("done", "event"):
        raise ValueError(f"the reference, {name} at {tolerance:g}, failed ({outcome.status}): choose another.")
    return outcome


def _judged(solver: str, setting: float, outcome: Outcome, truth: Outcome, travelled: float) -> Run:
    def curve(name: str) -> float:
        exact = truth.rows[name]
        largest = float(np.max(np.abs(exact))) or 1.0
        return float(np.max(np.abs(outcome.rows[name] - exact))) / largest

    return Run(
        solver=solver,
        setting=setting,
        status=outcome.status,
        parameter_error=float(np.linalg.norm(outcome.parameters - truth.parameters)) / travelled,
        probe_errors={name: curve(name) for name in outcome.rows if name in truth.rows},
        event_errors={k: abs(v - truth.event_times.get(k, math.nan)) for k, v in outcome.event_times.items()},
        evaluations=outcome.evaluations,
        steps=outcome.steps,
        rejected=outcome.rejected,
        seconds=outcome.seconds,
        seconds_compile=outcome.seconds_compile,
    )
