"""The entry point: reduce, integrate, and certify on request."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Array, PyTree

from . import _checks, flows, simulation
from .events import Event
from .probes import Probe
from .problem import Problem
from .result import Result, assemble
from .simulation import Chunk, Settings, prepare


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
    _checks.not_traced("the problem", [problem, *_closed_over(problem.loss)])
    prepared = prepare(
        problem,
        Settings(t1, solver, rtol, atol, step, max_steps, certificate if isinstance(certificate, str) else "solver"),
        events=events,
        user_probes=probes or {},
        save_times=save_times,
        flow=flow,
        reduction=reduction,
    )
    consumers = () if progress is None else (simulation.ForEach(progress),)
    result = assemble(prepared, simulation.run(prepared, *consumers))
    return result.certified(result.certificate) if certificate else result


def _closed_over(loss: Callable) -> list[object]:
    return [cell.cell_contents for cell in getattr(loss, "__closure__", None) or ()]
