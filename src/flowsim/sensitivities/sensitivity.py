"""The entry point: a run of a member of a family, with its derivatives by the family's parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _checks, _tree, flows, probes
from ..events import Event
from ..moment import Moment
from ..probes import Probe
from ..result import Result, assemble
from ..simulation import Prepared, Settings, run
from ..simulation import prepare as prepare_run
from ..simulation.arguments import as_events, as_flow, as_probes
from ..solvers import Method
from .certify import certified
from .family import Family, Member, expand, refuse_jumps
from .measure import RECORD, SHAPE, derivative_of, differentiable, with_derivative
from .record import EventSensitivity, Sensitivity, SensitivityCertificate, turning

Probes = Mapping[str, Callable[[PyTree], Array] | Probe] | Sequence[Probe | str]


def sensitivity(
    family: Family,
    *,
    at: float | Sequence[float] | np.ndarray | Array,
    t1: float,
    events: Sequence[Event | str] = (),
    probes: Probes | None = None,
    solver: str = "auto",
    rtol: float | None = None,
    atol: float | None = None,
    step: float | None = None,
    save_times: Sequence[float] | np.ndarray | None = None,
    flow: flows.AbstractFlow | None = None,
    reduction: str = "auto",
    certificate: bool = True,
    max_steps: int = 1_000_000,
) -> Sensitivity:
    """How a run changes with a parameter ε of its problem, to first order and exactly on the flow.

        θ' = v(θ, ε),    δθ' = ∂v/∂θ δθ + ∂v/∂ε,    δθ(0) = dθ(0)/dε,    δθ(t) = dθ(t)/dε

    One integration gives the derivatives of the path, of every probe, of the final parameters, and of event times:
    dT/dε = -(∂_ε g + ∂_θ g · δθ) / (dg/dt) where the event's value g crosses 0.

    **Arguments:**

    - `family`: ε -> `flowsim.Problem`, any smooth family that `jax.jvp` can differentiate: of starts, sample weights,
      losses, temperatures. It sees an array of the shape of `at`.
    - `at`: the ε at which derivatives are taken, a number or a vector; each entry costs about two gradients per
      evaluation of the velocity.
    - `t1`: end of the flow, > 0.

    The rest can be left alone: `solver`, `rtol`, `atol`, `step`, `save_times`, `flow`, `max_steps` are those of
    `flowsim.simulate`, and the tolerances hold for the derivatives as well; `atol` is in their own units.

    - `events`, `probes`: as of `flowsim.simulate`.
    - `reduction`: as of `flowsim.simulate`. The reduced coordinates are differentiated too; where they are not smooth
      (a start whose columns are dependent) `auto` integrates the whole problem.
    - `certificate`: bound the derivatives' errors by a second integration.

    **Returns:** a `flowsim.sensitivity.Sensitivity`.

    **Raises:** as `flowsim.simulate`; `TypeError` for a family that is no function, does not return a `Problem` or
    cannot be differentiated by JAX; `ValueError` if nothing in the family depends on ε.

    **Reference:** Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section I.14; Hindmarsh
    et al. (2005), SUNDIALS (CVODES: the tangents take part in the error test).
    """
    settings = Settings(t1, solver, rtol, atol, step, max_steps)
    eps = as_epsilon(at)
    base = as_flow(flow)
    member = expand(family, eps, reduction_of(base, reduction))
    labels = None if eps.ndim == 0 else tuple(map(str, range(eps.size)))
    prepared = prepare(member, labels, base, settings, events=events, user_probes=probes or {}, save_times=save_times)
    result = assemble(prepared, run(prepared))
    bounds = certified(prepared, result) if certificate else None
    return summed_up(eps, result if bounds is None else result.certified(bounds.run), bounds)


def as_epsilon(at: Any) -> Array:
    """ε as an array.

    **Raises:** `ValueError` if it is not a number or a vector of finite numbers; `TypeError` for what is no number.
    """
    numbers = _checks.numbers("at", at)
    eps = jnp.asarray(at) if numbers.size and np.all(np.isfinite(numbers)) else jnp.zeros(0)
    if not jnp.issubdtype(eps.dtype, jnp.floating):
        eps = jnp.asarray(eps, float)
    if eps.ndim > 1 or eps.size == 0:
        raise ValueError(f"at must be a finite number or a vector of them, got {at!r}.")
    return eps


def prepare(
    member: Member,
    labels: tuple[str, ...] | None,
    base: flows.AbstractFlow,
    settings: Settings,
    *,
    events: Sequence[Event | str] = (),
    user_probes: Probes,
    save_times: Sequence[float] | np.ndarray | None = None,
    method: Callable[[Any], Method] | None = None,
) -> Prepared:
    """A run of the variational flow, ready to start: an ordinary run, with more in its state, probes and events.

    **Arguments:** `labels`: of the directions, None for one direction without an axis of its own. The others as of
    `flowsim.simulation.prepare`.

    **Raises:** `ValueError` for a flow of stages, or one that follows kinks.
    """
    refuse_jumps(base)
    problem = member.reduction.problem
    own = as_probes(user_probes)
    measured = (*probes.standard(problem), *own)
    start = Moment(problem, jnp.zeros((), _tree.dtype(problem.parameters)), problem.parameters, member.lift)
    derived = [derivative_of(p, scalar=labels is None) for p in measured if differentiable(p, start)]
    return prepare_run(
        member.lift.original,
        settings,
        events=[with_derivative(event) for event in as_events(events)],
        user_probes=(*own, *derived),
        save_times=save_times,
        flow=flows.Variational(base, member.change, labels or ("",)),
        reduction=member.reduction,
        method=method,
    )


def summed_up(at: Array, result: Result, bounds: SensitivityCertificate | None) -> Sensitivity:
    """The record of a finished run of `prepare`."""
    scalar = at.ndim == 0
    return Sensitivity(
        at=np.asarray(at),
        result=result,
        parameters_derivative=_final(result.prepared, result.carry.state.flow, scalar),
        events={name: _event(result, name, scalar, bounds) for name in result.crossings},
        certificate=bounds,
    )


def _event(result: Result, name: str, scalar: bool, bounds: SensitivityCertificate | None) -> EventSensitivity:
    record = result.events[name]
    found = [np.asarray(crossing.values[RECORD]) for crossing in record.crossings]
    shapes = [crossing.values[SHAPE] for crossing in record.crossings]

    def shaped(x):
        return None if x is None else float(x[0]) if scalar else x

    error = None if bounds is None else shaped(bounds.derivative_errors[name])
    turns = tuple(turning(*shape) for shape in shapes)
    return EventSensitivity(record, tuple(shaped(x) for x in found), turns, error)


def _final(prepared: Prepared, state: Any, scalar: bool) -> PyTree:
    """d/dε of the final parameters as the user knows them; of the reduced ones where single ones cannot be had."""
    flow: Any = prepared.plan.flow
    here, moved = flow.base.parameters(state.flow), flow.base.parameters(state.tangents)
    lift, change = prepared.plan.lift, flow.change.lift
    if prepared.reduction.recoverable and lift.lift is not None:
        moved = _lifted(lift, change, here, moved)
    return jax.tree.map(lambda x: x[0], moved) if scalar else moved


@eqx.filter_jit
def _lifted(lift: Any, change: Any, here: PyTree, moved: PyTree) -> PyTree:
    def along(dlift, d):
        return eqx.filter_jvp(lambda lift, x: lift.lift(x), (lift, here), (dlift, d))[1]

    return jax.vmap(along)(change, moved)


def reduction_of(base: flows.AbstractFlow, name: str) -> str:
    """The reduction by name, as far as it is exact for the base flow."""
    if base.traits.plain or (base.traits.equivariant and not base.traits.shrinks and name != "gram"):
        return name
    if name not in ("auto", "none"):
        raise ValueError(f"reduction {name} is not exact for {type(base).__name__}; use auto or none.")
    return "none"
