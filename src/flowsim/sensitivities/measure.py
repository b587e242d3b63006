"""Derivatives by ε of what is measured along the path, and of the moments at which events happen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..events import Event
from ..flows import Variational
from ..moment import Lift, Moment
from ..probes import Probe
from ..problem import Problem

DIRECTION = "direction"


def _inner(moment: Moment, problem: Problem, t: Array, lift: Lift, state: PyTree) -> Moment:
    """The moment as the base flow knows it."""
    base = moment.flow.base
    return Moment(problem, t, base.parameters(state), lift, base, state)


class Derivative(eqx.Module):
    """d/dε of a function of the moment: its own dependence on ε, and that through the path.

    **Fields:** `scalar`: ε is one number, so that there is no axis of directions.
    """

    measure: Callable[[Moment], Array]
    scalar: bool = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Array:
        flow: Variational = moment.flow

        def value(problem, lift, state):
            return jnp.asarray(self.measure(_inner(moment, problem, moment.t, lift, state)))

        def along(change, dz):
            primals = (moment.problem, moment.lift, moment.state.flow)
            here, moved = eqx.filter_jvp(value, primals, (change.problem, change.lift, dz))
            return jnp.zeros_like(here) if moved is None else moved  # a number that depends on none of these

        found = jax.vmap(along)(flow.change, moment.state.tangents)
        return found[0] if self.scalar else found


def derivative_of(probe: Probe, *, scalar: bool) -> Probe:
    """The probe `<name>_derivative`."""
    dims = None if probe.dims is None else (*(() if scalar else (DIRECTION,)), *probe.dims)
    return Probe(f"{probe.name}_derivative", dims, f"d/dε of {probe.long_name}", probe.units,
                 Derivative(probe.measure, scalar))  # fmt: skip


def differentiable(probe: Probe, moment: Moment) -> bool:
    """Is a probe made of real numbers that move? Counts do not, nor does the drift of an invariant."""
    shape: Any = jax.eval_shape(lambda: jnp.asarray(probe.measure(moment)))
    return jnp.issubdtype(shape.dtype, jnp.floating) and not probe.name.startswith("invariant_")


class CrossingTime(eqx.Module):
    """dT/dε of the moment T at which an event's value crosses 0.

    With g the smallest of the event's parts at T, g(T(ε), θ(T(ε), ε), ε) = 0 gives

        dT/dε = -(∂_ε g + ∂_θ g · δθ) / (dg/dt),    dg/dt = ∂_t g + ∂_θ g · θ'.

    **Fields:** `shape`: return dg/dt, d²g/dt² and g(0) instead, which say how near the crossing is to a tangential one.
    """

    parts: Callable[[Moment], Float[Array, "parts"]]
    shape: bool = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "_"]:
        flow: Variational = moment.flow
        shift = Derivative(self.parts, scalar=False)(moment)
        state, clock = moment.state.flow, moment.t

        def value(t, z):
            return self.parts(_inner(moment, moment.problem, t, moment.lift, z))

        def rate(t, z):
            velocity, _ = flow.base.velocity(moment.problem, t, z)
            return jax.jvp(value, (t, z), (jnp.ones_like(t), velocity))

        velocity, _ = flow.base.velocity(moment.problem, clock, state)
        (parts, slope), (_, bend) = jax.jvp(rate, (clock, state), (jnp.ones_like(clock), velocity))
        active = jnp.argmin(parts)
        start = value(jnp.zeros_like(clock), flow.base.init(moment.problem))
        if self.shape:
            return jnp.stack([slope[active], bend[active], start[active]])
        return -shift[:, active] / slope[active]


RECORD, SHAPE = "time_derivative", "crossing_shape"


def with_derivative(event: Event) -> Event:
    """The event, which records the derivatives of its time."""
    more = {RECORD: CrossingTime(event.parts, False), SHAPE: CrossingTime(event.parts, True)}
    return dataclasses.replace(event, records={**event.records, **more})
