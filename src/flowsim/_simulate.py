"""The entry point: reduce, integrate, and certify on request."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Array, PyTree

from . import flows, simulation
from ._checks import described
from .events import Event
from .probes import Probe
from .problem import Problem
from .result import Result, assemble, check_clock, following, started, tightened
from .simulation import Chunk, Prepared, Settings, prepare
from .simulation.arguments import as_flow, as_problem


def simulate(
    problem: Problem,
    *,
    t1: float,
    solver: str = "auto",
    rtol: float | None = None,
    atol: float | None = None,
    step: float | None = None,
    compensated: bool | None = None,
    events: Sequence[Event | str] = (),
    probes: Mapping[str, Callable[[PyTree], Array] | Probe] | Sequence[Probe | str] = (),
    save_times: Sequence[float] | np.ndarray | None = None,
    flow: flows.AbstractFlow | None = None,
    reduction: str = "auto",
    certificate: bool | str = False,
    max_steps: int = 1_000_000,
    max_seconds: float | None = None,
    target_error: float | None = None,
    t0: float = 0.0,
    start: Result | None = None,
    folder: str | os.PathLike | None = None,
    progress: Callable[[Chunk], None] | bool | None = None,
) -> Result:
    """Integrate the flow of a problem from `t0` to `t1`.

    It steps on the host: inside `jax.grad`, `jax.jit` or `jax.vmap` it is refused. Derivatives of a flow are
    `flowsim.sensitivity`'s.

    **Arguments:**

    - `problem`: a `flowsim.Problem`.
    - `t1`: end of the flow, > 0.

    The rest can be left alone:

    - `solver`: a name that `flowsim solvers` lists; `auto` chooses by tolerance.
    - `rtol`, `atol`: relative and absolute tolerance of each step's error test; by default 1e-8 and 1e-10 where the
      parameters are float64, 1e-5 and 1e-7 where they are float32.
    - `step`: fixed step size instead of the error test.
    - `compensated`: carry what rounding leaves out of the state, so that many small steps do not add up to an error; by
      default where the parameters are float32 and the solver's steps are sums of slopes.
    - `events`: of `flowsim.events`, or their names; recorded and passed, unless `terminal`.
    - `probes`: name -> `function(parameters)`, measured beside the standard probes at every saved time; the function
      sees the parameters in the shape in which you made them. Or a list of flowsim's: `[flowsim.probes.sharpness()]`.
    - `save_times`: 200 logarithmically spaced times by default; 0 and `t1` are always added.
    - `flow`: a `flowsim.flows` vector field; the gradient flow by default.
    - `reduction`: an exact reduction by name, `auto` or `none`; flows that are not orthogonally equivariant have none.
    - `certificate`: compute `result.certificate` now rather than when it is first looked at; "gram" makes it from the
      Gram system instead of a second solver.
    - `max_steps`: limit on attempted steps.
    - `max_seconds`: wall time after which the run stops with status `interrupted`; `result.extend` goes on.
    - `target_error`: tighten the tolerances, from `rtol` and `atol` on, until `result.certificate.relative_error` is
      below; where rounding comes first, the certificate's `warnings` say so.
    - `t0`: the clock at the start, for flows that depend on it and for runs that go on from a `start`.
    - `start`: another run's result, of parameters of the same names and shapes: the flow starts at its end, with the
      momentum or averages of a flow of the same kind.
    - `folder`: keep the run there as it goes. One that was interrupted (Ctrl-C, `max_seconds`, a kill) goes on from its
      last whole chunk, to the same bits, when the same call is made again; one that has ended is an ordinary run
      folder, as `result.save` writes it.
    - `progress`: a function to be called after every chunk; by default a line on a terminal or in a notebook, once the
      run takes more than a second; False for none, True for one anywhere.

    **Returns:** a `flowsim.Result`. A numerical failure is its `status`, not an exception; Ctrl-C ends the run with
    status `interrupted` and what was reached.

    **Raises:** `ValueError` for arguments that cannot be meant: t1 ≤ 0, tolerances below what the precision gives,
    unknown names, two events or probes of one name, an event that is no real number, a risk that is not finite at the
    start. `TypeError` for arguments of another kind. `StoreError` for a `folder` that holds another run.
    """
    problem = as_problem(problem)
    initial = None
    if start is not None:
        flow = as_flow(flow)
        problem, initial = started(problem, flow, start)
        if not t0:
            check_clock(problem, flow, start, initial)
    if not isinstance(certificate, bool | str):
        raise TypeError(f"certificate must be True, False or the name of its evidence, got {described(certificate)}.")
    evidence = certificate if isinstance(certificate, str) else "solver"
    prepared = prepare(
        problem,
        Settings(t1, solver, rtol, atol, step, max_steps, evidence, t0, compensated),
        events=events,
        user_probes=() if probes is None else probes,
        save_times=save_times,
        flow=flow,
        reduction=reduction,
        initial=initial,
    )
    with contextlib.ExitStack() as stack:
        kept = None
        if folder is not None:
            from .result.folder import keeping  # what reads and writes files is not needed by those who only simulate

            kept = stack.enter_context(keeping(folder, prepared, fresh=target_error is not None))
        limit = () if max_seconds is None else (simulation.TimeLimit(max_seconds),)
        consumers = (*(() if kept is None else (kept.recorder,)), *stack.enter_context(following(progress)), *limit)

        def integrate(prepared: Prepared) -> Result:
            return assemble(prepared, simulation.run(prepared, *consumers))

        if target_error is not None:
            result = tightened(prepared, target_error, integrate)
        else:
            result = integrate(prepared)
            done = result.status.kind != "interrupted"
            result = result.certified(result.certificate) if certificate and done else result
        if kept is not None:
            kept.finish(result)
    return result
