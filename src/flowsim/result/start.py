"""A run that starts where another one ended."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import _tree, flows
from ..problem import Problem
from .result import Result


def started(problem: Problem, flow: flows.AbstractFlow | None, start: Result) -> tuple[Problem, PyTree | None]:
    """The problem at another run's end, and the state there of what its flow remembers.

    **Returns:** the problem with those parameters; and the flow's state if both runs are of one flow that has more
    state than the parameters (momentum, averages), else None: then the flow starts as it starts by itself.

    **Raises:** `ValueError` if the parameters are of other shapes, or if the run has no single parameters; `TypeError`
    for what is no result.
    """
    if not isinstance(start, Result):
        raise TypeError(f"start must be the result of a run, got {type(start).__name__}.")
    reduction = start.prepared.reduction
    if not reduction.recoverable:
        raise ValueError("start: a run of the Gram system has no single parameters; run it with reduction auto.")
    theirs, state = start.prepared.plan.flow, start.carry.state.flow
    here = theirs.parameters(state)
    whole = here if reduction.lift is None else eqx.filter_jit(reduction.lift)(here)
    if _tree.shapes(whole) != _tree.shapes(problem.parameters):
        raise ValueError("start: the run's parameters must have the names and shapes of the problem's.")
    problem = eqx.tree_at(lambda p: p.parameters, problem, jax.tree.map(_as, whole, problem.parameters))
    flow = flows.gradient() if flow is None else flow
    if not _same(flow, theirs) or state is here:
        return problem, None
    if reduction.lift is not None:
        state = _lifted(state, theirs, reduction.lift)
    return problem, state


def check_clock(problem: Problem, flow: flows.AbstractFlow | None, start: Result, state: PyTree | None) -> None:
    """Refuse to set the clock of a flow back whose velocity depends on time, as the averages of Adam do.

    **Raises:** `ValueError` if the other run is of the same flow, which moves on differently at t = 0 and where that
    run ended.
    """
    theirs, end = start.prepared.plan.flow, start.carry.clock.to_host()
    if flow is None or flow.traits.plain or not _same(flow, theirs):
        return
    state = flow.init(problem) if state is None else state
    velocity = eqx.filter_jit(lambda t: flow.velocity(problem, t, state)[0])
    now, then = (jax.tree.leaves(_tree.on_host(velocity(jnp.asarray(t, float)))) for t in (0.0, end))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(now, then, strict=True)):
        raise ValueError(f"start: this flow depends on time; give t0={end:g}, where the other run ended.")


def _same(flow: flows.AbstractFlow, other: flows.AbstractFlow) -> bool:
    return type(flow) is type(other) and jax.tree.structure(flow) == jax.tree.structure(other)


def _lifted(state: PyTree, flow: flows.AbstractFlow, lift: Any) -> PyTree:
    """What a flow remembers, in the user's coordinates: velocities go with the derivative of the way back."""
    here = flow.parameters(state)
    structure = jax.tree.structure(here)

    def alike(x: Any) -> bool:
        return jax.tree.structure(x) == structure

    @eqx.filter_jit
    def all_of(state: PyTree) -> PyTree:
        moved = jax.tree.map(lambda x: jax.jvp(lift, (here,), (x,))[1] if alike(x) else x, state, is_leaf=alike)
        return eqx.tree_at(flow.parameters, moved, lift(here))

    return all_of(state)


def _as(new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.asarray(new, old.dtype)
