"""All that is decided before the loop: the reduced problem, its plan, and how it is marched."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree

from .. import _checks, _memory, _programs, _tree, flows, probes, reductions, saving, solvers
from ..events import Event
from ..moment import Lift
from ..probes import Probe
from ..problem import Problem
from ..reductions import Reduction
from ..solver_names import BY_KIND, COMPENSABLE, DEFAULT_TOLERANCES, SYMMETRIC
from ..solvers import Method
from .arguments import as_events, as_flow, as_probes, as_problem, check_measured, check_start
from .carry import Clock, Plan
from .history import History
from .kinks import with_kinks
from .march import March
from .stiff import Methods
from .twice import OnceError, check_twice

_ROWS = 256  # saved rows that a chunk can hold
_LARGE = 1e6  # parameters from which on a step may not fit into memory
_WORK = 2e7  # parameters × steps of one chunk: about a second, so that progress is seen


@dataclasses.dataclass(frozen=True)
class Settings:
    """Numbers that decide how a flow is integrated.

    **Fields:** `rtol`, `atol`: None for those that suit the precision of the parameters. `certificate`: `solver` or
    `gram`, which evidence a certificate is made from. `t0`: the clock at the start. `compensated`: are the state's
    roundings carried along? None: in float32.
    """

    t1: float
    solver: str = "auto"
    rtol: float | None = None
    atol: float | None = None
    step: float | None = None
    max_steps: int = 1_000_000
    certificate: str = "solver"
    t0: float = 0.0
    compensated: bool | None = None

    def checked(self, dtype: Any, *, named: bool = True) -> "Settings":
        """With the tolerances of a precision where none are given.

        **Arguments:** `named`: is the solver one of flowsim's, by its name?

        **Raises:** `ValueError`, `TypeError`.
        """
        rtol, atol = DEFAULT_TOLERANCES[_checks.choice("precision", np.dtype(dtype).name, DEFAULT_TOLERANCES)]
        if named:
            _checks.choice("solver", self.solver, ("auto", *BY_KIND))
        if self.compensated is not None:
            _checks.instance(self.compensated, bool, "compensated must be True, False or None")
        if self.compensated and named and self.solver not in ("auto", *COMPENSABLE):
            raise ValueError(solvers.cannot_compensate(self.solver))
        _checks.choice("certificate", self.certificate, ("solver", "gram"))
        return dataclasses.replace(
            self,
            t1=self._end(),
            rtol=rtol if self.rtol is None else _checks.positive("rtol", self.rtol),
            atol=atol if self.atol is None else _checks.positive("atol", self.atol),
            step=None if self.step is None else _checks.positive("step", self.step),
            max_steps=_checks.count("max_steps", self.max_steps),
        )

    def _end(self) -> float:
        t0, t1 = _checks.real("t0", self.t0), _checks.positive("t1", self.t1)
        if not math.isfinite(t0):
            raise ValueError(f"t0 must be finite, got {t0:g}.")
        if t1 <= t0:
            raise ValueError(f"t1 must be later than t0 = {self.t0:g} and finite, got {t1:g}.")
        return t1


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that is ready to start: the reduced problem with its plan."""

    settings: Settings
    reduction: Reduction
    plan: Plan
    save_times: np.ndarray
    chunk_steps: int
    stiff: tuple[Method, ...] = ()  # take over where the flow is stiff, the first that pays
    reluctance: float = 1.0  # how many times cheaper a later one of them has to be
    keep_rows: bool = True  # in the history; false where a consumer takes what it needs of them

    @property
    def methods(self) -> Methods:
        """The plan, and the same plan with each method for where the flow is stiff."""
        stiff = tuple(dataclasses.replace(self.plan, method=method) for method in self.stiff)
        return Methods(self.plan, stiff, self.reluctance)

    def history(self) -> History:
        """An empty history, for what the run will give."""
        kind, in_place = self.plan.method.kind, self.plan.in_place
        return History(len(self.save_times), kind, keep_rows=self.keep_rows, in_place=in_place)

    def march(self, history: History) -> March:
        """The run from where a history ends; of an empty one, from the start."""
        limits = {"chunk_steps": self.chunk_steps, "max_steps": self.settings.max_steps}
        return March(self.methods, self.save_times, **limits, carry=history.carry, solver=history.solver)


def prepare(
    problem: Problem,
    settings: Settings,
    *,
    events: Sequence[Event | str] = (),
    user_probes: Mapping[str, Callable[[PyTree], Array] | Probe] | Sequence[Probe | str] = (),
    save_times: Sequence[float] | np.ndarray | None = None,
    flow: flows.AbstractFlow | None = None,
    reduction: str | Reduction = "auto",
    initial: PyTree | None = None,
    method: Callable[[Any], Method] | None = None,
) -> Prepared:
    """Everything that is decided before the loop.

    **Arguments:** as of `simulate`; `initial`: the flow's state at the start, for a flow whose state is more than the
    parameters. It is one of the problem's own coordinates, so that the run is not reduced. `method`: `dtype -> Method`
    in place of the solver that `settings` names. `reduction`: perhaps one that is made already.

    **Raises:** as `simulate` does.
    """
    _programs.refuse_fork()
    _programs.make_room()
    problem, flow, watched = as_problem(problem), as_flow(flow), as_events(events)
    dtype = _tree.dtype(problem.parameters)
    settings = settings.checked(dtype, named=method is None)
    if initial is not None and (isinstance(reduction, Reduction) or reduction not in ("auto", "none")):
        raise ValueError(f"a run from a flow's state has no reductions; use auto or none, not {reduction}.")
    reduction = reduction if initial is None else "none"
    smaller = _reduced(problem, reduction, flow, settings)
    settings = _within_memory(settings, smaller.problem) if method is None else settings
    flow, watched, initial = with_kinks(smaller.problem, flow, watched, initial)
    times = _save_times(save_times, settings)
    chosen = probes.standard(smaller.problem) + as_probes(user_probes)
    _check_stages(flow, [event.name for event in watched])
    made = _named_method(settings, dtype) if method is None else method(dtype)
    plan = Plan(
        problem=smaller.problem,
        flow=flow if initial is not None or made.in_place else flows.joined(flow, smaller.problem),
        lift=Lift(problem, smaller.lift, smaller.recoverable),
        method=made,
        events=watched,
        probes=chosen,
        saves=Clock.at(times, dtype),
        end=Clock.at(settings.t1, dtype),
        capacity=_ROWS,
        origin=Clock.at(settings.t0, dtype) if settings.t0 else None,
        initial=initial,
    )
    if settings.solver in SYMMETRIC and not _symmetric(flow, smaller.problem):
        what = "the Gram system" if smaller.problem.metric is not None else type(flow).__name__
        raise ValueError(f"{settings.solver} needs a symmetric Jacobian, which {what} has not: use stabilized.")
    check_measured(plan)
    check_start(problem, smaller)
    if settings.solver in BY_KIND and BY_KIND[settings.solver].stages is None:
        check_twice(smaller.problem)
    size = _tree.size(smaller.problem.parameters)
    return Prepared(settings, smaller, plan, times, int(np.clip(_WORK / size, 8, 1000)), _for_stiff(settings, plan))


def _within_memory(settings: Settings, problem: Problem) -> Settings:
    """Where a step of what `auto` stands for does not fit into memory, a low-storage method by its name."""
    if settings.solver != "auto" or _fits(_named_method(settings, _tree.dtype(problem.parameters)), problem):
        return settings
    return dataclasses.replace(settings, solver=solvers.choose_lean(settings.rtol or 0.0))


def _fits(method: Method, problem: Problem) -> bool:
    """Does a step of a method fit into memory?"""
    size = _tree.size(problem.parameters)
    return size < _LARGE or method.held(size * _tree.dtype(problem.parameters).itemsize) <= _memory.for_arrays()


def _named_method(settings: Settings, dtype: Any, kind: str | None = None) -> Method:
    """The method that settings name, or another one by its name with the same accuracy."""
    kind = settings.solver if kind is None else kind
    kind = solvers.choose(settings.rtol or 0.0) if kind == "auto" else kind
    return solvers.make(
        kind, rtol=settings.rtol, atol=settings.atol, step=settings.step, dtype=dtype,
        compensated=solvers.compensates(kind, settings.compensated, dtype),
    )  # fmt: skip


def _save_times(given: Sequence[float] | np.ndarray | None, settings: Settings) -> np.ndarray:
    t0, t1 = settings.t0, settings.t1
    if given is None:
        return t0 + saving.log_times(t1 - t0)
    return saving.with_ends(_checks.numbers("save_times", given), t1, t0)


def lengthened(
    prepared: Prepared,
    t1: float,
    save_times: Sequence[float] | np.ndarray | None = None,
    max_steps: int | None = None,
) -> Prepared:
    """The same run to a later time, with the old save times and new ones after them.

    **Raises:** `ValueError` if `t1` is not later; `TypeError` for what is no number.
    """
    old, dtype = prepared.save_times, prepared.plan.end.high.dtype
    if not (math.isfinite(_checks.real("t1", t1)) and t1 > old[-1]):
        raise ValueError(f"t1 must be later than the run's end, {old[-1]:g}, got {t1:g}.")
    given = None if save_times is None else _checks.numbers("save_times", save_times)
    new = saving.continued(old, t1) if given is None else saving.with_ends(given, t1, prepared.settings.t0)
    times = np.concatenate([old, new[new > old[-1]]])
    most = prepared.settings.max_steps if max_steps is None else _checks.count("max_steps", max_steps)
    settings = dataclasses.replace(prepared.settings, t1=float(t1), max_steps=most)
    plan = dataclasses.replace(prepared.plan, end=Clock.at(t1, dtype), saves=Clock.at(times, dtype))
    return dataclasses.replace(prepared, settings=settings, plan=plan, save_times=times)


def with_tolerance(prepared: Prepared, rtol: float, atol: float) -> Prepared:
    """The same run at other tolerances."""
    settings = dataclasses.replace(prepared.settings, rtol=rtol, atol=atol)
    dtype = prepared.plan.end.high.dtype
    method = _named_method(settings, dtype)
    plan = dataclasses.replace(prepared.plan, method=method)
    return dataclasses.replace(prepared, settings=settings, plan=plan, stiff=_for_stiff(settings, plan))


def _for_stiff(settings: Settings, plan: Plan) -> tuple[Method, ...]:
    """The methods that `auto` turns to where the flow is stiff, if the spectrum of its Jacobian is known to be real,
    and as far as they fit into memory."""
    if settings.solver != "auto" or settings.step is not None or not plan.flow.traits.real_spectrum:
        return ()
    try:
        check_twice(plan.problem)
    except OnceError:
        return ()
    kinds, dtype = (
        solvers.choose_stiff(settings.rtol, symmetric=_symmetric(plan.flow, plan.problem)),
        plan.end.high.dtype,
    )
    made = (_named_method(settings, dtype, kind) for kind in kinds)
    return tuple(method for method in made if _fits(method, plan.problem))


def _symmetric(flow: flows.AbstractFlow, problem: Problem) -> bool:
    """Is the velocity the gradient of something, so that its Jacobian is symmetric?"""
    return flow.traits.symmetric and problem.metric is None


def _reduced(problem: Problem, name: str | Reduction, flow: flows.AbstractFlow, settings: Settings) -> Reduction:
    """The reduction by name; not every one is exact for every flow."""
    if isinstance(name, Reduction):
        return name
    if flow.traits.plain:
        return reductions.reduce(problem, name)
    kind = type(flow).__name__
    if "gram" in (name, settings.certificate):
        raise ValueError(f"the Gram system is that of the gradient flow, and {kind} is another: use auto or none.")
    if flow.traits.equivariant:
        return reductions.reduce(problem, name, shrinking=flow.traits.shrinks)
    why = f"{kind} is not orthogonally equivariant, or moves what the exact reductions hold fixed"
    _checks.choice("reduction", name, reductions.NAMES)
    if name not in ("auto", "none"):
        raise ValueError(f"the reduction {name} does not apply: {why}; use auto or none.")
    return reductions.identity(problem, why)


def _check_stages(flow, events):
    missing = [
        s.until for s in (flow.stages if flow.traits.staged else ()) if s.until is not None and s.until not in events
    ]
    if missing:
        known = ", ".join(events) or "none"
        raise ValueError(f"a stage ends at the event {missing[0]!r}, which is not an event of this run: {known}.")
