"""Members of one batch, step by step together, as one compiled program.

The device takes the steps, reads the rows and solves for the event times of all members at once; the host reads a few
numbers a chunk, and arrays of all members at the end. What needs more than that is run by itself.
"""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..certificate import evidence, second
from ..moment import Lift
from ..problem import Problem
from ..reductions import reduce
from ..result import Result
from ..simulation import Prepared, Stacked, begin, measure, together
from .alone import run_alone
from .loop import each
from .members import Member
from .stack import Stack

T = TypeVar("T")
S = TypeVar("S")
_SHARE = 0.25  # of the device's memory
_MEMORY = 2**30  # bytes for a batch on a device that does not tell how much it has
_WAITING = 5  # states of a member that wait in the queue, or are at hand once more while it is looked into


def members_at_once(prepared: Prepared, members: int) -> int:
    """How many members make a batch: all devices busy, each within its memory."""
    devices = jax.local_devices()
    limit = _SHARE * (devices[0].memory_stats() or {}).get("bytes_limit", _MEMORY / _SHARE)
    plan = prepared.plan
    state = jax.eval_shape(lambda: plan.flow.init(plan.problem))
    row = jax.eval_shape(lambda: measure(plan, begin(plan)))
    one = (
        plan.method.held(_bytes(state))
        + _WAITING * _bytes(state)
        + len(prepared.save_times) * _bytes(row)
        + _bytes(eqx.filter(plan, eqx.is_array))
    )
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


@dataclasses.dataclass(frozen=True)
class Batch:
    """Members of one shape that are ready to start.

    **Fields:** `first`: of them, for what all share; `stacked`: their plans, with idle copies if the batch is not full,
    so that every batch shares the same compiled programs; `own`: number -> the member by itself.
    """

    seeds: Sequence[int]
    first: Prepared
    stacked: Stacked
    own: Callable[[int], Prepared]

    @classmethod
    def of(cls, prepare: Callable[[int], Prepared], seeds: Sequence[int], size: int, device: Any) -> "Batch":
        """Each member prepared on the host.

        **Raises:** `ValueError` if the members differ in more than numbers.
        """
        members = prepare_all(prepare, seeds)
        plans = [member.plan for member in members]
        stacked = Stacked.of([*plans, *[plans[-1]] * (size - len(plans))], device)
        return cls(seeds, members[0], stacked, members.__getitem__)

    @classmethod
    def mapped(
        cls, make: Callable[[PyTree], Problem], inputs: PyTree, first: Prepared, seeds: Sequence[int], size: int
    ) -> "Batch":
        """All members made at once, by one traced call.

        **Arguments:** `make`: the problem of one member's part of the `inputs`, which have an axis of members in front.
        """
        if len(seeds) < size:
            places = np.minimum(np.arange(size), len(seeds) - 1)
            inputs = jax.tree.map(lambda x: x[places], inputs)
        stacked = _mapped(make, inputs, first.plan, first.reduction.name)

        def own(number: int) -> Prepared:
            plan = stacked.one(number)
            reduction = dataclasses.replace(first.reduction, problem=plan.problem, lift=plan.lift.lift)
            return dataclasses.replace(first, plan=plan, reduction=reduction)

        return cls(seeds, first, stacked, own)


@eqx.filter_jit
def _mapped(make, inputs, plan, reduction) -> Stacked:
    def one(own):
        problem = make(own)
        smaller = reduce(problem, reduction, shrinking=plan.flow.traits.shrinks)
        return smaller.problem, Lift(problem, smaller.lift, smaller.recoverable)

    count = jax.tree.leaves(inputs)[0].shape[0]
    return Stacked.mapped(plan, jnp.arange(count), *eqx.filter_vmap(one)(inputs))


def run_batch(batch: Batch, *, certified: bool, put: Callable[[int, Result], None] | None = None) -> Stack:
    """Its members to their ends, and the certificate of each if they are to be `certified`.

    **Arguments:** `put`: called with the seed and the result of each, as soon as it is known.
    """
    stack = _run(batch, certified, put)
    if put is not None:
        for number in sorted(set(range(len(batch.seeds))) - set(stack.alone)):
            put(batch.seeds[number], stack.result(number, batch.own(number)))
    return stack


def _run(batch: Batch, certified: bool, put: Callable[[int, Result], None] | None) -> Stack:
    first, runs = batch.first, len(batch.seeds)
    found = together(first, batch.stacked, runs)
    if not certified:
        return Stack(batch.seeds, first, found, _alone(batch, np.flatnonzero(found.alone), certified, put))
    again = second(first)
    other = together(again, batch.stacked.replaced(method=again.plan.method), runs)
    there = other.numbers | {"alone": other.alone}
    proof = evidence(first, again, batch.stacked, found.ends, other.ends, found.numbers, there)
    alone = _alone(batch, np.flatnonzero(found.alone | other.alone), certified, put)
    return Stack(batch.seeds, first, found, alone, proof, dataclasses.replace(other, ends=None))  # of no use any more


def _alone(batch: Batch, numbers: np.ndarray, certified: bool, put) -> dict[int, Member]:
    """Members that are run by themselves, by their numbers."""

    def work(number: int) -> Member:
        return run_alone(batch.seeds[number], batch.own(number), certified=certified, put=put)

    which = numbers.tolist()
    return dict(zip(which, each(work, which), strict=True)) if which else {}
