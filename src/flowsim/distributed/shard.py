"""A problem whose arrays lie on several devices: whatever is computed from them is computed there."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from .. import _checks, _tree
from ..problem import Problem

SAMPLES, PARAMETERS = "samples", "parameters"  # the mesh's axes


def shard(problem: Problem, *, samples: int = 1, parameters: int = 1) -> Problem:
    """The same problem on `samples` × `parameters` devices.

    Every device of a row of the mesh has one of `samples` equal parts of the samples; every device of a column has one
    of `parameters` equal parts of each trained array, along the array's largest axis that can be split so. Arrays that
    cannot, scalars, and what is not trained are on all devices. Steps, events and certificates follow from where the
    arrays lie: the compiled programs are those of one device, partitioned by XLA.

    **Arguments:**

    - `samples`: parts of the samples; must divide their number.
    - `parameters`: parts of the parameters' arrays.

    **Returns:** a `Problem` with the same values.

    **Raises:** `ValueError` for more devices than there are; for a number of samples that cannot be split so; for
    parameters of which no array can be. `TypeError` for arguments of another kind.
    """
    samples, parameters = _checks.count("samples", samples), _checks.count("parameters", parameters)
    _check(problem, samples, parameters)
    devices = np.asarray(jax.devices()[: samples * parameters]).reshape(samples, parameters)
    mesh = Mesh(devices, (SAMPLES, PARAMETERS))
    spread = _placed(problem, mesh, lambda x: PartitionSpec())
    trained = _placed(problem.parameters, mesh, lambda x: _split(x.shape, parameters))
    spread = eqx.tree_at(lambda p: p.parameters, spread, trained)
    if problem.task is None:
        return spread
    arrays = (problem.task.tokens, problem.task.labels, problem.task.groups, problem.weights)
    placed = _placed(arrays, mesh, lambda x: PartitionSpec(SAMPLES))
    return eqx.tree_at(
        lambda p: (p.task.tokens, p.task.labels, p.task.groups, p.weights), spread, placed, is_leaf=lambda x: x is None
    )


def _check(problem: Problem, samples: int, parameters: int) -> None:
    if samples > 1 and problem.task is None:
        raise ValueError("a problem without samples has none to split: leave samples at 1.")
    if problem.task is not None and problem.task.samples % samples:
        raise ValueError(f"{problem.task.samples} samples cannot be split into {samples} equal parts: "
                         "choose a number of parts that divides them.")  # fmt: skip
    shapes = [x.shape for x in jax.tree.leaves(problem.parameters)]
    if parameters > 1 and not any(_split(shape, parameters) != PartitionSpec() for shape in shapes):
        raise ValueError(f"no array of the parameters has an axis that {parameters} divides: their shapes are "
                         f"{', '.join(map(str, shapes[:5]))}.")  # fmt: skip
    there = jax.device_count()
    if samples * parameters > there:
        raise ValueError(f"{samples} × {parameters} devices are asked for, and there {'is' if there == 1 else 'are'} "
                         f"{there}: ask for fewer parts.")  # fmt: skip


def _split(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    """Along the largest axis that can be split into equal parts."""
    axes = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or not axes:
        return PartitionSpec()
    largest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*(PARAMETERS if axis == largest else None for axis in range(largest + 1)))


def _placed(tree: PyTree, mesh: Mesh, where: Callable[[Any], PartitionSpec]) -> PyTree:
    """Every array of a tree on the mesh."""

    def place(x):
        return jax.device_put(x, NamedSharding(mesh, where(x))) if _tree.is_array(x) else x

    return jax.tree.map(place, tree)
