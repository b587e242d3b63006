"""What is measured along the path."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _checks
from ..moment import Moment


class Probe(eqx.Module):
    """A named quantity with labelled axes.

    **Fields:**

    - `name`: the variable's name in the dataset.
    - `dims`: names of the axes after `time`; None to let them be named after the probe.
    - `long_name`, `units`: attributes of the variable.
    - `measure`: `Moment -> Array`, pure and traceable.
    """

    name: str = eqx.field(static=True)
    dims: tuple[str, ...] | None = eqx.field(static=True)
    long_name: str = eqx.field(static=True)
    units: str = eqx.field(static=True)
    measure: Callable[[Moment], Array]


def user(name: str, function: "Callable[[PyTree], Array] | Probe") -> Probe:
    """A probe of a user's `function(parameters)`, which sees the parameters in the shape in which the user made them.

    One of flowsim's own probes, such as `probes.sharpness()`, may stand in the function's place.

    **Raises:** `TypeError` for anything else; `ValueError` for a name that no variable of a dataset can have.
    """
    if _checks.instance(name, str, "a probe's name must be a string") in ("", "time") or "/" in name:
        raise ValueError(f"a probe cannot be named {name!r}: give it the name of what it measures, without a /.")
    if isinstance(function, Probe):
        return Probe(name, function.dims, function.long_name, function.units, function.measure)
    if not callable(function):
        raise TypeError(f"probe {name} must be a function of the parameters, got {_checks.described(function)}.")
    return Probe(name, None, name, "1", _UserProbe(function, name))


class _UserProbe(eqx.Module):
    function: Callable
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Array:
        value = self.function(moment.user_parameters)
        if not isinstance(value, jax.Array | np.ndarray | float | int):
            raise TypeError(
                f"probe {self.name} must return a number or one array, got {_checks.described(value)}: write a probe "
                "for each quantity."
            )
        value = jnp.asarray(value)
        if jnp.issubdtype(value.dtype, jnp.complexfloating):
            raise TypeError(f"probe {self.name} must return real numbers, got {_checks.described(value)}.")
        return value


def measure_all(probes: tuple[Probe, ...], moment: Moment) -> dict[str, Array]:
    """All probes at one moment. Under jit the work that they share is done once."""
    return {probe.name: jnp.asarray(probe.measure(moment)) for probe in probes}
