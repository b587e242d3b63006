"""Runs of one shape, step by step together on a device, as one compiled program for each method."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .advance import begin, proceed
from .carry import Carry, Plan
from .march import March
from .run import AbstractBackend, Given

T = TypeVar("T")


@dataclasses.dataclass
class _Group:
    """The lanes of one method on the device.

    **Fields:** `plan`, `carry`: stacked; `known`: for each lane the carry that the device gave last, so that a lane
    is sent there again only if the host has changed it.
    """

    plan: Plan
    carry: Carry
    known: list[Carry | None]


class Batch(AbstractBackend):
    """All runs in the lanes of one batch.

    A lane whose run has ended, or has gone over to the other method, stands still: the budget of its steps is 0.

    **Arguments:** `size`: lanes; those that no run fills are idle copies of the last one, so that every batch shares
    the same compiled program. `device`: where the steps are computed.
    """

    def __init__(self, size: int, device: Any):
        self._size, self._device = size, device
        self._groups: dict[str, _Group] = {}

    def begin(self, marches: Sequence[March]) -> None:
        group = self._group(marches, marches[0].plan.method.kind)
        there = jax.device_get(group.carry)
        for i, march in enumerate(marches):
            if march.carry is None:
                march.carry = group.known[i] = _lane(there, i)

    def advance(self, marches: Sequence[March], running: Sequence[int]) -> Sequence[Given]:
        found: dict[int, Given] = {}
        for kind in dict.fromkeys(marches[i].plan.method.kind for i in running):
            lanes = [i for i in running if marches[i].plan.method.kind == kind]
            found |= self._advance_group(self._group(marches, kind), marches, lanes)
        return [found[i] for i in running]

    def _advance_group(self, group: _Group, marches: Sequence[March], lanes: Sequence[int]) -> dict[int, Given]:
        budgets = np.zeros(self._size, int)
        for i in lanes:
            budgets[i], carry = marches[i].budget, cast(Carry, marches[i].carry)
            if carry is not group.known[i]:
                group.carry = _put(group.carry, i, jax.device_put(carry, self._device))
        group.carry, rows, counts = _advance(group.plan, group.carry, jnp.asarray(budgets))
        there, rows, counts = jax.device_get((group.carry, rows, counts))
        for i in lanes:
            group.known[i] = _lane(there, i)
        return {i: (group.known[i], {k: v[i] for k, v in rows.items()}, int(counts[i])) for i in lanes}

    def _group(self, marches: Sequence[March], kind: str) -> _Group:
        """The group of a method, made when the first run turns to it."""
        if kind not in self._groups:
            plans = [march.methods.named(kind) for march in marches]
            together = _to(self._device, _stacked([*plans, *[plans[-1]] * (self._size - len(plans))]))
            self._groups[kind] = _Group(together, _start(together), [None] * self._size)
        return self._groups[kind]


def _lane(carry: Carry, i: int) -> Carry:
    """One run's carry, from that of all of them on the host."""
    return jax.tree.map(lambda x: np.asarray(x[i]), carry)


def _stacked(plans: Sequence[Plan]) -> Plan:
    """One plan whose arrays have an axis of members in front.

    **Raises:** `ValueError` if the plans differ in more than the numbers in their arrays.
    """
    leaves, structures = zip(*(jax.tree.flatten(plan) for plan in plans), strict=True)
    alike = all(structure == structures[0] for structure in structures)
    if not alike or not all(map(_stackable, zip(*leaves, strict=True))):
        raise ValueError("the members differ in more than numbers: give them one shape, or use backend='loop'.")
    # Stacked on the host: one transfer for all members.
    stacked = [np.stack(column) if eqx.is_array(column[0]) else column[0] for column in zip(*leaves, strict=True)]
    return structures[0].unflatten(stacked)


def _stackable(column: Sequence[Any]) -> bool:
    if not eqx.is_array(column[0]):
        return all(x == column[0] for x in column)
    return all(eqx.is_array(x) and x.shape == column[0].shape and x.dtype == column[0].dtype for x in column)


def _to(device: Any, tree: T) -> T:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, device), rest)


@eqx.filter_jit
def _start(plan: Plan) -> Carry:
    return eqx.filter_vmap(begin)(plan)


@eqx.filter_jit
def _advance(plan: Plan, carry: Carry, budgets):
    return eqx.filter_vmap(proceed)(plan, carry, budgets)


@eqx.filter_jit
def _put(carry: Carry, i, own: Carry) -> Carry:
    return jax.tree.map(lambda all_, one: all_.at[i].set(one), carry, own)
