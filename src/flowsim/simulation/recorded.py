"""What an event wants to know at its crossings, beside the probes."""

from jaxtyping import Array

from .. import _tree
from .._jit import fast_compile
from .carry import Clock, Plan, State
from .inside import moment


@fast_compile
def _measure(plan: Plan, number: int, clock: Clock, state: State) -> dict[str, Array]:
    now = moment(plan, clock, state)
    return {name: measure(now) for name, measure in plan.events[number].records.items()}


def recorded(plan: Plan, number: int, clock: Clock, state: State) -> dict[str, float | int | list]:
    """The records of event `number` at a state, as numbers and lists that JSON can hold."""
    if not plan.events[number].records:
        return {}
    return {name: x.tolist() for name, x in _tree.on_host(_measure(plan, number, clock, state)).items()}
