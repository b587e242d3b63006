"""Members of one batch, step by step together on an accelerator, as one compiled program.

The device takes the steps of all members at once; what is done once for a member (preparing it, solving for its event
times, gathering its result) is done on the host's cores, where a small problem costs less than its launches on the
device would. A batch runs until its last member ends, so members are batched in chunks.
"""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._simulate import Prepared, assemble
from ..certificate import certify, witness
from ..result import Result
from ..simulation import Carry, Code, History, Plan, Stopwatch, begin, digest, measure, proceed
from .loop import each

T = TypeVar("T")
S = TypeVar("S")
_SHARE = 0.25  # of the device's memory
_MEMORY = 2**30  # bytes for a batch on a device that does not tell how much it has


def members_at_once(prepared: Prepared, members: int) -> int:
    """How many members make a batch: all devices busy, each within its memory."""
    devices = jax.local_devices()
    limit = _SHARE * (devices[0].memory_stats() or {}).get("bytes_limit", _MEMORY / _SHARE)
    plan = prepared.plan
    state = jax.eval_shape(lambda: plan.flow.init(plan.problem))
    row = jax.eval_shape(lambda: measure(plan, begin(plan)))
    one = plan.method.states * _bytes(state) + plan.capacity * _bytes(row) + _bytes(eqx.filter(plan, eqx.is_array))
    return max(1, min(-(-members // len(devices)), int(limit // one)))


def _bytes(tree: Any) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def host():
    """A context in which new arrays are made, and programs run, on the host."""
    if jax.default_backend() == "cpu":
        return nullcontext()  # a default device, even the same one, would compile every program once more
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # a process that was told to know the accelerator only
        return nullcontext()


def prepare_all(prepare: Callable[[T], S], over: Sequence[T]) -> list[S]:
    """Each of a batch, on the host's cores."""

    def one(item: T) -> S:
        with host():
            return prepare(item)

    return list(each(one, over))


def collect_together(members: Sequence[Prepared], size: int, device: Any) -> list[tuple[Result, Carry]]:
    """Run members to their ends, in a batch of `size`; one that is not full is filled up with idle copies.

    **Raises:** `ValueError` if the members differ in more than numbers.
    """
    watch = Stopwatch()
    histories = _march([*members, *[members[-1]] * (size - len(members))], len(members), device)
    compiling, running = (seconds / len(members) for seconds in watch.read())
    pairs = list(zip(members, histories, strict=True))
    results = prepare_all(lambda pair: assemble(*pair, compiling, running), pairs)
    return [(result, _carry(history)) for result, history in zip(results, histories, strict=True)]


def _carry(history: History) -> Carry:
    assert history.carry is not None
    return history.carry


def certified_together(
    members: Sequence[Prepared], ended: Sequence[tuple[Result, Carry]], size: int, device: Any
) -> list[Result]:
    """The same results with their certificates, whose second integrations are a batch as well."""
    with host():
        again = [witness(prepared, result) for prepared, (result, _) in zip(members, ended, strict=True)]
    evidence = collect_together(again, size, device)

    def finish(item: tuple[Prepared, tuple[Result, Carry], tuple[Result, Carry]]) -> Result:
        prepared, (result, carry), other = item
        certificate = certify(prepared, carry, result, lambda _: other)
        return dataclasses.replace(result, certify=lambda _: certificate)

    return prepare_all(finish, list(zip(members, ended, evidence, strict=True)))


def _march(members: Sequence[Prepared], real: int, device: Any) -> list[History]:
    """The histories of the first `real` members; the others stand still."""
    first, plans = members[0], [member.plan for member in members]
    together = _to(device, _stacked(plans))
    histories = [member.history() for member in members[:real]]
    carry, limit = _start(together), first.settings.max_steps
    before, tried = np.zeros(len(members), int), np.zeros(len(members), int)
    while any(history.status is None for history in histories):
        running = np.array([i < real and histories[i].status is None for i in range(len(members))])
        budgets = np.where(running, np.minimum(first.chunk_steps, limit - tried), 0)
        carry, rows, counts = _advance(together, carry, jnp.asarray(budgets))
        rows, counts, code, look = jax.device_get((rows, counts, carry.code, carry.look))
        saved, tried = np.asarray(carry.saved), np.asarray(carry.steps + carry.rejected)
        busy = running & ((code != Code.RUNNING) | look.any(axis=1) | (tried >= limit))
        there = jax.device_get(carry) if busy.any() else None

        def one(i: int, rows=rows, counts=counts, before=before, busy=busy, there=there):
            mine = {name: values[i, : counts[i]].copy() for name, values in rows.items()}
            times = members[i].save_times[before[i] : before[i] + counts[i]]
            if not busy[i]:
                histories[i].add_rows(times, mine)
                return None
            own = jax.tree.map(lambda x: jnp.asarray(x[i]), there)
            chunk = digest(plans[i], own, times, mine, limit)
            histories[i].add(chunk)
            return None if chunk.carry is own or chunk.status is not None else chunk.carry

        changed = prepare_all(lambda i: (i, one(i)), np.flatnonzero(running).tolist())
        before = saved.copy()
        for i, own in changed:
            if own is not None:  # a stage of the flow ended: it goes on from there
                carry, before[i] = _put(carry, i, jax.device_put(own, device)), int(own.saved)
    return histories


def _stacked(plans: Sequence[Plan]) -> Plan:
    """One plan whose arrays have an axis of members in front.

    **Raises:** `ValueError` if the plans differ in more than the numbers in their arrays.
    """
    leaves, structures = zip(*(jax.tree.flatten(plan) for plan in plans), strict=True)
    alike = all(structure == structures[0] for structure in structures)
    if not alike or not all(map(_stackable, zip(*leaves, strict=True))):
        raise ValueError("the members differ in more than numbers: give them one shape, or use machinery='loop'.")
    # Stacked on the host: one transfer for all members.
    stacked = [np.stack(column) if eqx.is_array(column[0]) else column[0] for column in zip(*leaves, strict=True)]
    return structures[0].unflatten(stacked)


def _stackable(column: Sequence[Any]) -> bool:
    if not eqx.is_array(column[0]):
        return all(x == column[0] for x in column)
    return all(eqx.is_array(x) and x.shape == column[0].shape and x.dtype == column[0].dtype for x in column)


def _to(device: Any, tree: S) -> S:
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
