"""The entrance: what `simulate` and `prepare` are given becomes what a plan holds, or is refused in a sentence."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from .. import _checks, _tree, events, flows, probes
from .._jit import fast_compile
from ..events import Event
from ..moment import Moment
from ..probes import Probe
from ..problem import Problem
from ..reductions import Reduction
from .carry import Clock, Plan, State
from .inside import moment

EVENTS: Mapping[str, Callable[[], Event]] = {
    "phase1_end": events.phase1_end,
    "common_word_turns": events.common_word_turns,
}
"""Events that need no number, by the names that an experiment file gives them."""

PROBES: Mapping[str, Callable[[], Probe]] = {"sharpness": probes.sharpness, "margins": probes.margins}


def as_problem(problem: Any) -> Problem:
    """**Raises:** `TypeError` for anything but a problem, and for one whose arrays are traced."""
    remedy = "make one by flowsim.Problem(model, task) or flowsim.Problem.from_loss(loss, parameters)"
    _checks.instance(problem, Problem, "problem must be a flowsim.Problem", remedy)
    _checks.not_traced("the problem", problem)
    return problem


def as_events(given: Any) -> tuple[Event, ...]:
    """Events, some perhaps by name; one alone stands for a list of one. **Raises:** `TypeError`, `ValueError`."""
    found = tuple(map(_event, _listed(given, Event, "events must be a list of flowsim.events")))
    _distinct("event", [event.name for event in found])
    for event in found:
        _checks.not_traced(f"event {event.name}", event)
    return found


def _listed(given: Any, kind: type, must: str) -> Sequence[Any]:
    """Several of a kind; one alone, or a name, stands for a list of one. **Raises:** `TypeError` that begins so."""
    given = (given,) if isinstance(given, kind | str) else given
    return _checks.instance(given, Sequence, must)


def _event(given: Any) -> Event:
    if isinstance(given, Event):
        return given
    remedy = "a condition of your own is flowsim.events.crossing(name, function)"
    given = _checks.instance(given, str, "an event must be one of flowsim.events", remedy)
    if given not in EVENTS and given in events.__all__:
        raise ValueError(f"the event {given!r} needs its arguments: write flowsim.events.{given}(…).")
    return EVENTS[_checks.choice("event", given, EVENTS, more=", or an object of flowsim.events")]()


def as_probes(given: Any) -> tuple[Probe, ...]:
    """Probes: name -> function or probe, or a list of flowsim's own, some perhaps by name.

    **Raises:** `TypeError`, `ValueError`.
    """
    if isinstance(given, Mapping):
        found = tuple(probes.user(name, function) for name, function in given.items())
    else:
        found = tuple(map(_probe, _listed(given, Probe, "probes must be a dictionary name -> function")))
    for probe in found:
        _checks.not_traced(f"probe {probe.name}", probe)
    return found


def _probe(given: Any) -> Probe:
    if isinstance(given, Probe):
        return given
    remedy = 'a function of your own needs a name, as in probes={"norm": function}'
    given = _checks.instance(given, str, "a probe in a list must be one of flowsim.probes", remedy)
    return PROBES[_checks.choice("probe", given, PROBES, more=", or an object of flowsim.probes")]()


def as_flow(flow: Any) -> flows.AbstractFlow:
    """A flow; the gradient flow by default. **Raises:** `TypeError`."""
    if flow is None or flow == "gradient":
        return flows.gradient()
    must = "flow must be one of flowsim.flows, such as flowsim.flows.momentum(friction=1.0)"
    return _checks.instance(flow, flows.AbstractFlow, must)


_MEASURED = _tree.Seen()


def check_measured(plan: Plan) -> None:
    """Flow, events and probes can be evaluated at the start. Shapes only: nothing is computed.

    **Raises:** `ValueError` or `TypeError` with its name and what went wrong.
    """
    names = [probe.name for probe in plan.probes]
    _distinct("probe", names)
    bounds = [name for name in names if name.endswith("_error") and name.removesuffix("_error") in names]
    if bounds:
        raise ValueError(f"a probe cannot be named {bounds[0]!r}: that is the bound on the error of another one.")
    _MEASURED.check(plan, lambda: _check_shapes(plan))


def _check_shapes(plan: Plan) -> None:
    clock, state = plan.start()
    if not plan.flow.traits.plain:
        _check_flow(plan, clock, state)
    here = moment(plan, clock, State(state, jnp.zeros((), plan.end.high.dtype)))
    for event in plan.events:
        _shape(f"event {event.name}", event.parts, here)
    for probe in plan.probes:
        _shape(f"probe {probe.name}", probe.measure, here)


def _check_flow(plan: Plan, clock: Clock, state: PyTree) -> None:
    """A flow's velocity is as its state is, and its energy and the rate at which that falls are numbers."""
    kind, flow, problem = type(plan.flow).__name__, plan.flow, plan.problem
    if not all(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(state)):
        raise TypeError(f"the state of {kind} must be floating-point arrays: what does not move is no part of it.")
    try:
        found = eqx.filter_eval_shape(flow.velocity, problem, clock.value, state)
        energy = eqx.filter_eval_shape(flow.energy, problem, state)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or "no message"
        raise ValueError(f"{kind} cannot be evaluated at the start: {type(error).__name__}: {reason}") from error
    if not (isinstance(found, tuple) and len(found) == 2):
        raise TypeError(f"the velocity of {kind} must be dz/dt and the rate at which the energy falls, two things, got "
                        f"{_checks.described(found)}.")  # fmt: skip
    moved, rate = found
    if _tree.shapes(moved) != _tree.shapes(state):
        raise TypeError(f"dz/dt of {kind} must have the structure and the shapes of the state that its init returns.")
    if jnp.shape(rate) or jnp.shape(energy):
        raise TypeError(f"the energy of {kind}, and the rate at which it falls, must be one number each.")


def _shape(what: str, function: Callable, here: Moment) -> None:
    try:
        eqx.filter_eval_shape(function, here)
    except Exception as error:
        reason = (str(error).strip().split("\n")[0] or "no message").removeprefix(f"{what} ")
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what} cannot be evaluated at the start of this problem: {reason}") from error


def check_start(original: Problem, reduction: Reduction) -> None:
    """The risk and its gradient are finite at the start, and the reduced problem has the same ones.

    A reduction is derived by hand for a model; one evaluation shows that it is this problem's.

    **Raises:** `ValueError` for a start at which there is no flow; `RuntimeError` for a reduction that is not exact.
    """
    finite, same = jax.device_get(_start(original, reduction))
    if not finite:
        raise ValueError(
            "the risk or its gradient is not finite (NaN or infinite) at the start: check the initial parameters, and "
            "the loss where it takes a logarithm, a root or a quotient."
        )
    if not same:
        raise RuntimeError(
            f"the reduction {reduction.name} does not have this problem's risk and gradient at the start, so it is not "
            "exact here: use reduction='none', and please report the model."
        )


@fast_compile
def _start(original: Problem, reduction: Reduction) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
    small = reduction.problem
    risk, (reduced, rate) = small.risk(small.parameters), small.velocity(small.parameters)
    finite = jnp.isfinite(risk) & jnp.isfinite(rate)
    if reduction.name == "none":
        return finite, jnp.ones((), bool)
    whole = original.evaluated_by_sample()
    eps = float(jnp.finfo(risk.dtype).eps)
    # Another forward pass differs by its whole size. A gradient near 0 is a difference of larger terms, and has their
    # rounding.
    rounding = 1e3 * eps * (1 + _tree.norm(whole.parameters))

    def near(x: Array, y: Array) -> Bool[Array, ""]:
        return jnp.abs(x - y) <= math.sqrt(eps) * (jnp.abs(x) + jnp.abs(y)) + rounding

    there, (velocity, fall) = whole.risk(whole.parameters), whole.velocity(whole.parameters)
    same = near(risk, there) & near(jnp.sqrt(jnp.abs(rate)), jnp.sqrt(fall))
    if reduction.recoverable and reduction.lift is not None:
        lifted = jax.jvp(reduction.lift, (small.parameters,), (reduced,))[1]
        apart = _tree.norm(_tree.subtract(*map(jax.tree.leaves, (lifted, velocity))))
        same &= apart <= math.sqrt(eps) * _tree.norm(velocity) + rounding
    return finite, same | ~finite


def _distinct(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two {what}s are named {twice[0]!r}: every {what} needs a name of its own.")
