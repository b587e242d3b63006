"""What is differentiated: a number of the final state, or the time of an event."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks, flows
from ..events import Event
from ..moment import Lift, Moment
from ..problem import Problem
from ..simulation.arguments import EVENTS
from ..solvers import Tableau
from .adjoint import Back, stepped

_NEWTON = 4  # iterations for an event's time, from one that is right to the tolerance


class WeightedField(eqx.Module):
    """The velocity as a function of flat states and of the samples' weights."""

    problem: Problem
    flow: flows.AbstractFlow
    unravel: Callable = eqx.field(static=True)

    def __call__(self, t: Array, y: Array, w: Array) -> Array:
        velocity, _ = self.flow.velocity(self.with_weights(w), t, self.unravel(y))
        return jax.flatten_util.ravel_pytree(velocity)[0]

    def with_weights(self, w: Array) -> Problem:
        """The problem with these weights."""
        return eqx.tree_at(lambda p: p.weights, self.problem, w)

    def moment(self, t: Array, y: Array, w: Array, lift: Lift) -> Moment:
        """What a probe or an event may look at, at a flat state."""
        state = self.unravel(y)
        return Moment(self.with_weights(w), t, self.flow.parameters(state), lift, self.flow, state)


class LastStep(eqx.Module):
    """The step at whose end the number is taken, from (t, y) on. Its size may move."""

    field: WeightedField
    tableau: Tableau
    lift: Lift
    t: Float[Array, ""]
    y: Float[Array, "entries"]

    def end(self, size: Array) -> tuple[Array, Array]:
        """Time and state at the end of a step of this size."""
        w = self.field.problem.weights
        return self.t + size, stepped(self.field, self.tableau, self.t, size, self.y, w)


class AbstractQuantity(eqx.Module):
    """A number at the end of a last step.

    **Fields:** `name`: of the result; `event`: the one whose time it is, None for a number of the final state.
    """

    name: eqx.AbstractVar[str]
    event: eqx.AbstractVar[Event | None]

    @abc.abstractmethod
    def settled(self, step: LastStep, size: Array) -> Array:
        """The last step's size, from one that is right to the tolerance."""

    @abc.abstractmethod
    def end(self, step: LastStep, size: Array) -> tuple[Array, Back]:
        """The number, and its derivatives at the end of the last step."""


class AtEnd(AbstractQuantity):
    """A number of the final state. **Fields:** `value`: `Moment -> number`."""

    name: str = eqx.field(static=True)
    value: Callable[[Moment], Array]
    event: ClassVar[None] = None

    def settled(self, step: LastStep, size: Array) -> Array:
        return size

    @eqx.filter_jit
    def end(self, step: LastStep, size: Array) -> tuple[Array, Back]:
        t, y = step.end(size)

        def final(y, w):
            return self.value(step.field.moment(t, y, w, step.lift))

        number, (by_y, by_w) = jax.value_and_grad(final, argnums=(0, 1))(y, step.field.problem.weights)
        return number, Back(by_y, by_w)


class AtEvent(AbstractQuantity):
    """The time of an event, at which its value is 0."""

    event: Event

    @property
    def name(self) -> str:
        return self.event.name

    @eqx.filter_jit
    def settled(self, step: LastStep, size: Array) -> Array:
        def improved(size, _):  # Newton's method
            value, rate, _ = self._value(step, *step.end(size))
            return size - value / rate, None

        return jax.lax.scan(improved, size, length=_NEWTON)[0]

    @eqx.filter_jit
    def end(self, step: LastStep, size: Array) -> tuple[Array, Back]:
        t, y = step.end(size)
        _, rate, value = self._value(step, t, y)
        by_y, by_w = jax.grad(value, argnums=(1, 2))(t, y, step.field.problem.weights)
        return t, Back(-by_y / rate, -by_w / rate)

    def _value(self, step: LastStep, t: Array, y: Array) -> tuple[Array, Array, Callable]:
        """The event's value, its rate along the flow, and the value as a function of state and weights."""
        field, w = step.field, step.field.problem.weights
        active = jnp.argmin(self.event.parts(field.moment(t, y, w, step.lift)))

        def value(t, y, w):
            return self.event.parts(field.moment(t, y, w, step.lift))[active]

        here, rate = jax.jvp(lambda t, y: value(t, y, w), (t, y), (jnp.ones_like(t), field(t, y, w)))
        return here, rate, value


def quantity(of: Any) -> AbstractQuantity:
    """The quantity that a user asks for. **Raises:** `ValueError` for anything else."""
    match of:
        case Event():
            return AtEvent(of)
        case "loss":
            return AtEnd(of, _risk)
        case str() if of in EVENTS:
            return AtEvent(EVENTS[of]())
    if not callable(of):
        what = "of must be 'loss', an event, or a function of the final model"
        raise ValueError(f"{what}, got {_checks.described(of)}.")
    return AtEnd(getattr(of, "__name__", "value"), _OfModel(of))


def _risk(moment: Moment) -> Float[Array, ""]:
    return moment.problem.risk(moment.parameters)


class _OfModel(eqx.Module):
    function: Callable

    def __call__(self, moment: Moment) -> Array:
        value = self.function(moment.user_parameters)
        if getattr(value, "shape", None) != () or not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"of must return one real number of the final model, got {_checks.described(value)}.")
        return value
