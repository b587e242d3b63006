"""A run by what it computes, where no experiment file describes it."""

import dataclasses
import hashlib
import re
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _tree
from ..probes import coordinates
from ..simulation import Plan, Prepared, begin, measure
from .machine import environment, versions
from .segments import Identity

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of functions in the text of a program: another one in every process


def described(prepared: Prepared) -> dict[str, Any]:
    """For `meta.json`: what a reader of the segments needs, and what the run ran on."""
    plan = prepared.plan
    shapes = eqx.filter_eval_shape(lambda plan: measure(plan, begin(plan)), plan)
    variables = {}
    for probe in plan.probes:
        axes = range(len(shapes[probe.name].shape))
        dims = [f"{probe.name}_axis_{i}" for i in axes] if probe.dims is None else list(probe.dims)
        variables[probe.name] = {"dims": dims, "attributes": {"long_name": probe.long_name, "units": probe.units}}
    return {"variables": variables, "coordinates": coordinates(plan.problem, plan.flow), **environment()}


def fingerprint(prepared: Prepared) -> Identity:
    """What must be the same for a run to be resumed: its settings, its programs and its arrays.

    The programs are JAX's, of the velocity, the probes and the events: a function that was only renamed is the same,
    one with another constant in it is not.
    """
    traced, _, _ = eqx.filter_make_jaxpr(_measured)(prepared.plan)
    text = _ADDRESS.sub("", str(traced.jaxpr))
    values = {
        "settings": dataclasses.asdict(prepared.settings),
        "reduction": prepared.reduction.name,
        "events": [[event.name, event.direction, event.terminal] for event in prepared.plan.events],
        "probes": [probe.name for probe in prepared.plan.probes],
        "save_times": _digest(prepared.save_times),
        "arrays": _digest(*jax.tree.leaves(eqx.filter(prepared.plan, eqx.is_array)), *traced.consts),
        "program": hashlib.sha256(text.encode()).hexdigest(),
    }
    return Identity(values, {}, versions(), jax.devices()[0].device_kind)


def _measured(plan: Plan) -> Any:
    carry = begin(plan)  # with the events' parts
    return carry, measure(plan, carry), plan.flow.velocity(plan.problem, carry.clock.value, carry.state.flow)


def _digest(*arrays: Any) -> str:
    found = hashlib.sha256()
    for array in map(_tree.to_host, arrays):
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
