"""Plans of many runs of one shape, as one."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ..moment import Lift
from ..problem import Problem
from .carry import Plan

RUNS = "runs"  # the axis of runs, inside `Stacked.each`
_BLOCKS, _SMALLEST = 8, 64  # into which the runs are divided where some are wanted only; the runs of the smallest
_CACHED = 2048  # runs of the largest block on a CPU, whose caches should hold it


class Stacked(eqx.Module):
    """What differs from run to run, with an axis of runs in front, and what all of them share.

    **Fields:** `numbers`: of the runs; `own`, `shared`: a plan each, with None where the other has something.
    """

    numbers: Int[Array, "runs"]
    own: Plan
    shared: Plan

    @property
    def count(self) -> int:
        return self.numbers.shape[0]

    def each(self, function: Callable, *args: Any) -> Any:
        """`function(plan, *args)` of every run; for use inside compiled functions."""

        def one(_, own, *args):
            return function(eqx.combine(own, self.shared), *args)

        return jax.vmap(one, axis_name=RUNS)(self.numbers, self.own, *args)

    def some(self, function: Callable, wanted: Bool[Array, "runs"], *args: Any) -> Any:
        """`each` of the runs that are `wanted` only, 0 for the others; for use inside compiled functions.

        They are brought together in blocks, so that the work is about theirs and not that of all runs.
        """
        block = max(self.count // _BLOCKS, min(self.count, _SMALLEST))
        block = min(block, _CACHED) if jax.default_backend() == "cpu" else block
        number = jnp.sum(wanted)
        places = jnp.where(jnp.arange(self.count) < number, jnp.argsort(~wanted, stable=True), self.count)
        places = jnp.pad(places, (0, -self.count % block), constant_values=self.count)  # beyond the last: dropped

        def one(loop):
            first, found = loop
            own = jax.lax.dynamic_slice(places, (first,), (block,))
            numbers, plans, given = jax.tree.map(lambda x: x[own], (self.numbers, self.own, args))
            here = Stacked(numbers, plans, self.shared).each(function, *given)
            return first + block, jax.tree.map(lambda x, y: x.at[own].set(y, mode="drop"), found, here)

        shapes = jax.eval_shape(lambda: self.each(function, *args))
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.while_loop(lambda loop: loop[0] < number, one, (jnp.zeros_like(number), nothing))[1]

    def take(self, places: np.ndarray) -> "Stacked":
        """Some of the runs, by their places here."""
        numbers, own = jax.tree.map(lambda x: x[jnp.asarray(places)], (self.numbers, self.own))
        return Stacked(numbers, own, self.shared)

    def one(self, place: int) -> Plan:
        """A single run's plan."""
        return eqx.combine(jax.tree.map(lambda x: x[place], self.own), self.shared)

    def replaced(self, **fields: Any) -> "Stacked":
        """With other fields of the plan, the same for all runs."""
        own = {name: jax.tree.map(lambda _: None, value) for name, value in fields.items()}
        return Stacked(self.numbers, dataclasses.replace(self.own, **own), dataclasses.replace(self.shared, **fields))

    @classmethod
    def of(cls, plans: Sequence[Plan], device: Any = None) -> "Stacked":
        """Of plans that differ in nothing but the numbers in their arrays. Those that do not differ are shared.

        **Raises:** `ValueError` if the plans differ in more.
        """
        leaves, structures = zip(*(jax.tree.flatten(plan) for plan in plans), strict=True)
        columns = list(zip(*leaves, strict=True)) if _alike(structures) else []
        if not columns or not all(map(_stackable, columns)):
            raise ValueError("the members differ in more than numbers: give them one shape, or use backend='loop'.")
        # Stacked on the host: one transfer for all members.
        hosts = [jax.device_get(column) if eqx.is_array(column[0]) else column for column in columns]
        differ = [eqx.is_array(column[0]) and _differ(host) for column, host in zip(columns, hosts, strict=True)]
        own = [jnp.asarray(np.stack(host)) if yes else None for host, yes in zip(hosts, differ, strict=True)]
        shared = [None if yes else column[0] for column, yes in zip(columns, differ, strict=True)]
        whole = cls(jnp.arange(len(plans)), structures[0].unflatten(own), structures[0].unflatten(shared))
        arrays, rest = eqx.partition(whole, eqx.is_array)
        return eqx.combine(jax.device_put(arrays, device), rest)

    @classmethod
    def mapped(cls, first: Plan, numbers: Int[Array, "runs"], problems: Problem, lifts: Lift) -> "Stacked":
        """Of the plan of one run, and problems and lifts whose arrays have an axis of runs in front."""
        whole = dataclasses.replace(first, problem=problems, lift=lifts)
        mask = dataclasses.replace(jax.tree.map(lambda _: False, whole), problem=_arrays(problems), lift=_arrays(lifts))
        return cls(numbers, *eqx.partition(whole, mask))


def _arrays(tree: Any) -> Any:
    return jax.tree.map(eqx.is_array, tree)


def _alike(structures: Sequence[Any]) -> bool:
    return all(structure == structures[0] for structure in structures)


def _stackable(column: Sequence[Any]) -> bool:
    first = column[0]
    if not eqx.is_array(first):
        return all(x == first for x in column)
    return all(eqx.is_array(x) and x.shape == first.shape and x.dtype == first.dtype for x in column)


def _differ(column: Sequence[np.ndarray]) -> bool:
    return any(not np.array_equal(x, column[0], equal_nan=x.dtype.kind == "f") for x in column[1:])
