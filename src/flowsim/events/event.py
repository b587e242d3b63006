"""When something happens."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..moment import Moment

Direction = Literal["up", "down", "both"]


class Event(eqx.Module):
    """A condition whose sign changes are found on the flow itself.

    The condition has one or several parts, each a smooth function of the moment; the event's value is the smallest of
    them, so an upward crossing is the moment from which on *all* parts are positive. Keeping the parts apart lets each
    step be scanned where it is smooth.

    **Fields:**

    - `name`: unique in a run.
    - `parts`: `Moment -> (parts,)`, pure and traceable.
    - `direction`: which crossings count: `up` (to positive), `down`, or `both`.
    - `terminal`: stop the integration at the first crossing that counts.
    - `description`: one line for people.
    """

    name: str = eqx.field(static=True)
    parts: Callable[[Moment], Float[Array, "parts"]]
    direction: Direction = eqx.field(static=True, default="up")
    terminal: bool = eqx.field(static=True, default=False)
    description: str = eqx.field(static=True, default="")

    def __check_init__(self):
        if self.direction not in ("up", "down", "both"):
            raise ValueError(f"direction must be 'up', 'down' or 'both', got {self.direction!r}.")


def crossing(
    name: str,
    function: Callable[[Float[Array, ""], PyTree], Float[Array, "..."]],
    *,
    direction: Direction = "both",
    terminal: bool = False,
    description: str = "",
) -> Event:
    """An event of a user's own `function(t, parameters)`: it fires where the function crosses 0.

    The function may return one number, or an array, whose smallest entry counts ("all of these at once"). It must be
    smooth in between; a root that touches 0 without crossing is not an event.

    **Arguments:** `function`: sees the parameters in the shape in which the user made them. `direction`: `up`, `down`
    or `both`. `terminal`: stop there.
    """
    return Event(name, _UserCondition(function), direction, terminal, description or name)


class _UserCondition(eqx.Module):
    function: Callable

    def __call__(self, moment: Moment) -> Float[Array, "parts"]:
        return jnp.ravel(jnp.asarray(self.function(moment.t, moment.user_parameters)))


def all_of(name: str, *events: Event, terminal: bool = False) -> Event:
    """The moment at which the conditions of all the given events hold together for the first time."""
    if any(event.direction != "up" for event in events):
        raise ValueError("all_of takes events with direction 'up': each condition holds where it is positive.")

    conditions = tuple(event.parts for event in events)
    return Event(name, _All(conditions), "up", terminal, "all of: " + ", ".join(event.name for event in events))


class _All(eqx.Module):
    conditions: tuple[Callable, ...]

    def __call__(self, moment: Moment) -> Float[Array, "parts"]:
        return jnp.concatenate([condition(moment) for condition in self.conditions])
