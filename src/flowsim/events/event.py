"""When something happens."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _checks
from .._values import is_number
from ..moment import Moment

Direction = Literal["up", "down", "both"]
DIRECTIONS = ("up", "down", "both")


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
    - `records`: name -> `Moment -> Array`, measured at the event's crossings only, beside the scalar probes.
    """

    name: str = eqx.field(static=True)
    parts: Callable[[Moment], Float[Array, "parts"]]
    direction: Direction = eqx.field(static=True, default="up")
    terminal: bool = eqx.field(static=True, default=False)
    description: str = eqx.field(static=True, default="")
    records: Mapping[str, Callable[[Moment], Array]] = eqx.field(default_factory=dict)

    def __check_init__(self):
        _checks.choice("direction", self.direction, DIRECTIONS)


def crossing(
    name: str,
    function: Callable[[Float[Array, ""], PyTree], Float[Array, ""]],
    *,
    direction: Direction = "both",
    terminal: bool = False,
    description: str = "",
) -> Event:
    """An event of a user's own `function(t, parameters)`: it fires where the function crosses 0.

    The function returns one real number, smooth between its crossings; a root that touches 0 without crossing is not an
    event. For several conditions that must hold at once see `all_of`.

    **Arguments:** `function`: sees the parameters in the shape in which the user made them. `direction`: `up`, `down`
    or `both`. `terminal`: stop there.

    **Raises:** `TypeError` if the name is no string or the function none; `ValueError` for another direction. When a
    run is prepared, `TypeError` for a function that does not return one real number.
    """
    _checks.instance(name, str, "an event's name must be a string")
    if not callable(function):
        raise TypeError(f"event {name}: the condition must be a function (t, parameters) -> number, got "
                        f"{_checks.described(function)}.")  # fmt: skip
    _checks.choice("direction", direction, DIRECTIONS)
    return Event(name, _UserCondition(function, name), direction, terminal, description or name)


class _UserCondition(eqx.Module):
    function: Callable
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        value = self.function(moment.t, moment.user_parameters)
        if not (is_number(value) or isinstance(value, jax.Array)):
            raise TypeError(f"event {self.name} must return one real number, got {_checks.described(value)}.")
        value = jnp.asarray(value)
        if value.size != 1:
            raise TypeError(
                f"event {self.name} must return one real number, got {_checks.described(value)}: take one entry, their "
                "minimum (all of them at once), or an event for each."
            )
        if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)):
            raise TypeError(
                f"event {self.name} must return a signed real number, got {_checks.described(value)}: it fires where "
                "the number crosses 0, so write the condition's margin, such as x - 0.5."
            )
        return jnp.ravel(value).astype(jnp.result_type(value.dtype, moment.t.dtype))


def of_probe(
    name: str,
    probe: Any,
    *,
    value: float = 0.0,
    entry: tuple[int, ...] | None = None,
    of_entries: Literal["max", "min", "mean"] | None = None,
    direction: Direction = "up",
    terminal: bool = False,
    description: str = "",
) -> Event:
    """The moment at which a probe's value crosses `value`.

    **Arguments:** `probe`: a `flowsim.probes.Probe`, or any object with `measure(moment)`. `entry`: which entry of an
    array; `of_entries`: or the largest, smallest or mean of all of them. A probe of one number needs neither.

    **Raises:** `ValueError`, when a run is prepared, for a probe of several numbers without a choice among them.
    """
    return Event(name, _ProbeValue(probe.measure, value, entry, of_entries), direction, terminal, description or name)


class _ProbeValue(eqx.Module):
    measure: Callable[[Moment], Array]
    value: float
    entry: tuple[int, ...] | None = eqx.field(static=True)
    of_entries: str | None = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        measured = jnp.asarray(self.measure(moment))
        if self.entry is not None:
            if len(self.entry) != measured.ndim or any(i >= n for i, n in zip(self.entry, measured.shape, strict=True)):
                raise ValueError(f"the probe has shape {list(measured.shape)}; entry {list(self.entry)} is outside it.")
            measured = measured[self.entry]
        elif self.of_entries is not None:
            measured = {"max": jnp.max, "min": jnp.min, "mean": jnp.mean}[self.of_entries](measured)
        if measured.size != 1:
            raise ValueError(f"the probe has shape {list(measured.shape)}: choose an `entry` or `of_entries`.")
        return jnp.ravel(measured) - self.value


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
