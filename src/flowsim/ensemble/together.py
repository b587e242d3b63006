"""Members of one batch, step by step together on an accelerator, as one compiled program.

The device takes the steps of all members at once; what is done once for a member (preparing it, solving for its event
times, gathering its result) is done on the host's cores, where a small problem costs less than its launches on the
device would. A batch runs until its last member ends, so members are batched in chunks.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import equinox as eqx
import jax

from ..certificate import certify, verifying
from ..result import Result, assemble
from ..simulation import Batch, History, Prepared, begin, measure, run_all
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
    methods = [plan.method, *prepared.stiff]
    one = (
        sum(method.states for method in methods) * _bytes(state)
        + plan.capacity * _bytes(row)
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


def integrate_together(members: Sequence[Prepared], size: int, device: Any) -> list[Result]:
    """Run members to their ends, in a batch of `size`; one that is not full is filled up with idle copies.

    **Raises:** `ValueError` if the members differ in more than numbers.
    """
    return prepare_all(lambda pair: assemble(*pair), list(zip(members, _histories(members, size, device), strict=True)))


def certified_together(results: Sequence[Result], size: int, device: Any) -> list[Result]:
    """The same results with their certificates, whose second integrations are a batch as well."""
    again = prepare_all(lambda result: verifying(result.prepared, result), results)

    def finish(item: tuple[Result, History]) -> Result:
        result, verification = item
        return result.certified(certify(result.prepared, result, verification=verification))

    return prepare_all(finish, list(zip(results, _histories(again, size, device), strict=True)))


def _histories(members: Sequence[Prepared], size: int, device: Any) -> list[History]:
    return run_all(members, Batch(size, device), over=prepare_all)
