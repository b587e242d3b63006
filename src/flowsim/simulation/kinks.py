"""Which flows meet kinks that they follow exactly."""

from jaxtyping import PyTree

from .. import events, flows
from ..events import Event
from ..problem import Problem
from ..problem.gates import count_kinks

MOST = 500
"""Kinks (neurons × samples) of a flow that follows them: every step asks each of them for a change of sign."""


def with_kinks(
    problem: Problem, flow: flows.AbstractFlow, watched: tuple[Event, ...], initial: PyTree | None
) -> tuple[flows.AbstractFlow, tuple[Event, ...], PyTree | None]:
    """A flow, the events of its run and its state at the start; for a gradient flow of a risk with kinks, the flow that
    follows them.

    **Raises:** `ValueError` if an event has the name of the one that such a flow adds.
    """
    if not (flow.traits.follows and problem.metric is None):
        return flow, watched, initial
    found = count_kinks(problem.risk, problem.parameters)
    if found.hidden or not 0 < found.kinks <= MOST:
        return flow, watched, initial
    if any(event.name == flows.KINKS for event in watched):
        raise ValueError(f"the event name {flows.KINKS!r} is that of the kinks of this risk: give yours another.")
    sliding = flows.Sliding(found.places)
    return sliding, (*watched, events.kinks()), sliding.settled(problem) if initial is None else initial
