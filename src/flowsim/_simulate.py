"""The entry point: reduce, integrate, collect, and certify on request."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from . import flows, probes
from ._jit import light
from .certificate import certify
from .events import Event
from .probes import Probe
from .problem import Problem
from .result import Crossing, EventRecord, Result, SolverRecord, Status, Trajectory, Variable
from .simulation import Carry, Chunk, History, Plan, Stopwatch, observe
from .simulation.prepare import Prepared, Settings, prepare


def simulate(
    problem: Problem,
    *,
    t1: float,
    solver: str = "auto",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    step: float | None = None,
    events: Sequence[Event] = (),
    probes: Mapping[str, Callable[[PyTree], Array] | Probe] | None = None,
    save_times: Sequence[float] | np.ndarray | None = None,
    flow: flows.AbstractFlow | None = None,
    reduction: str = "auto",
    certificate: bool | str = False,
    max_steps: int = 1_000_000,
    progress: Callable[[Chunk], None] | None = None,
) -> Result:
    """Integrate the flow of a problem from 0 to `t1`.

    **Arguments:**

    - `problem`: a `flowsim.Problem`.
    - `t1`: end of the flow, > 0.

    The rest can be left alone:

    - `solver`: a name that `flowsim solvers` lists; `auto` chooses by tolerance.
    - `rtol`, `atol`: relative and absolute tolerance of each step's error test.
    - `step`: fixed step size instead of the error test.
    - `events`: see `flowsim.events`; recorded and passed, unless `terminal`.
    - `probes`: name -> `function(parameters)`, measured beside the standard probes at every saved time; the function
      sees the parameters in the shape in which you made them. Or one of flowsim's: `flowsim.probes.sharpness()`.
    - `save_times`: 200 logarithmically spaced times by default; 0 and `t1` are always added.
    - `flow`: a `flowsim.flows` vector field; the gradient flow by default.
    - `reduction`: an exact reduction by name, `auto` or `none`; flows that tell coordinates apart have none.
    - `certificate`: compute `result.certificate` now rather than when it is first looked at; "gram" makes it from the
      Gram system instead of a second solver.
    - `max_steps`: limit on attempted steps.
    - `progress`: called after every chunk.

    **Returns:** a `flowsim.Result`. A numerical failure is its `status`, not an exception.

    **Raises:** `ValueError` for arguments that cannot be meant: t1 ≤ 0, tolerances below what the precision gives,
    unknown names, two events or probes of one name, a risk that is not finite at the start.
    """
    prepared = prepare(
        problem,
        Settings(t1, solver, rtol, atol, step, max_steps, certificate if isinstance(certificate, str) else "solver"),
        events=events,
        user_probes=probes or {},
        save_times=save_times,
        flow=flow,
        reduction=reduction,
    )
    result = collect(prepared, on_chunk=progress)
    if certificate:
        _ = result.certificate
    return result


def collect(prepared: Prepared, *, on_chunk: Callable[[Chunk], None] | None = None) -> Result:
    """Run to the end and gather what the chunks gave."""
    watch, history = Stopwatch(), prepared.history()
    for chunk in prepared.march():
        history.add(chunk)
        if on_chunk is not None:
            on_chunk(chunk)
    return assemble(prepared, history, *watch.read())


def assemble(
    prepared: Prepared, history: History, seconds_compile: float, seconds_run: float, *, lifted: bool = True
) -> Result:
    """The result of a history that ran to a status.

    **Arguments:** `lifted`: give final parameters as the user knows them, rather than those that were integrated.
    """
    plan, status, carry = prepared.plan, history.status, history.carry
    if status is None or carry is None:
        raise ValueError("the run is not over: its last chunk has no status.")
    if len(history.times) == 0 or history.times[-1] < status.time:  # cut short: also show the last good state
        now = jax.device_get(observe(plan, carry))
        history.add_rows(np.array([status.time]), {name: value[None] for name, value in now.items()})
    rows = history.rows
    final, model = _final(prepared, plan.flow.parameters(carry.state.flow), lifted=lifted)
    return Result(
        parameters=final,
        model=model,
        crossings=_events(plan, history.crossings),
        status=status,
        solver=_cost(prepared, history, seconds_compile, seconds_run),
        trajectory=Trajectory(history.times, rows, _variables(plan, rows), probes.coordinates(plan.problem)),
        energy_identity=_energy_identity(plan, carry),
        certify=functools.partial(_certify, prepared, carry),
    )


def _final(prepared: Prepared, parameters: PyTree, *, lifted: bool) -> tuple[PyTree, PyTree]:
    """Final parameters and model as the user knows them; the reduced ones where single parameters cannot be had."""
    reduction, original = prepared.reduction, prepared.plan.lift.original
    if not (reduction.recoverable and lifted):
        return parameters, reduction.problem.model(parameters)
    whole = parameters if reduction.lift is None else eqx.filter_jit(reduction.lift)(parameters)
    model = original.model(whole)
    return (model if original.task is None else whole), model


def _certify(prepared: Prepared, carry: Carry, result: Result):
    return certify(prepared, carry, result, collect_again)


def collect_again(again: Prepared) -> tuple[Result, Carry]:
    """A second run of the same problem: the certificate's independent evidence."""
    watch, history = Stopwatch(), again.history()
    for chunk in again.march():
        history.add(chunk)
    result = assemble(again, history, *watch.read(), lifted=False)
    return result, cast(Carry, history.carry)


def _events(plan: Plan, crossings: Sequence[Crossing]) -> dict[str, EventRecord]:
    records = [
        EventRecord(event.name, event.description, tuple(c for c in crossings if c.event == event.name))
        for event in plan.events
    ]
    never = math.inf
    ordered = sorted(records, key=lambda record: never if record.time is None else record.time)
    return {record.name: record for record in ordered}


def _variables(plan: Plan, rows) -> dict[str, Variable]:
    found = {}
    for probe in plan.probes:
        axes = rows[probe.name].ndim - 1
        dims = tuple(f"{probe.name}_axis_{i}" for i in range(axes)) if probe.dims is None else probe.dims
        found[probe.name] = Variable(dims, probe.long_name, probe.units)
    return found


def _cost(prepared: Prepared, history: History, seconds_compile: float, seconds_run: float):
    settings, carry = prepared.settings, cast(Carry, history.carry)
    price = flows.gradients_per_velocity(prepared.plan.flow)
    return SolverRecord(
        kind=prepared.plan.method.kind,
        rtol=settings.rtol,
        atol=settings.atol,
        steps=int(carry.steps),
        rejected=int(carry.rejected),
        vector_field_evaluations=price * int(carry.evaluations),
        event_evaluations=price * history.event_evaluations,
        reduction=prepared.reduction.name,
        reduction_reason=prepared.reduction.reason,
        seconds_compile=seconds_compile,
        seconds_run=seconds_run,
        switches=tuple(history.switches),
    )


def _energy_identity(plan: Plan, carry: Carry) -> float:
    """|energy(0) - energy(t) - ∫ dissipation| over the energy that was lost."""
    start, end = _energies(plan.flow, plan.problem, carry.state.flow)
    lost, dissipated = float(start - end), float(carry.state.dissipated)
    return abs(lost - dissipated) / max(abs(lost), abs(dissipated), float(jnp.finfo(start.dtype).tiny))


@light
def _energies(flow: flows.AbstractFlow, problem: Problem, state: PyTree) -> tuple[Array, Array]:
    """At the start and at a state."""
    return flow.energy(problem, flow.init(problem)), flow.energy(problem, state)


__all__ = ["Prepared", "Settings", "Status", "assemble", "collect", "collect_again", "prepare", "simulate"]
