"""The steps that a run takes, kept for the way back: where each began, and how long it was.

The loop that takes them is the simulation's own, compiled into one program for a block of steps, without events and
probes. States are kept as far as memory allows; of a later block only the first, the others are computed again.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..simulation import Carry, Code, Plan, Prepared, proceed, start

NUMBERS = 5e7  # that the kept states may hold, 0.4 GB in float64
_MOST = 256  # steps of a block


@dataclasses.dataclass(frozen=True)
class Block:
    """Steps that follow each other, `count` of them; what comes after is of size 0 and changes nothing.

    **Fields:** `starts`: the state at the beginning of each step, or of the first alone; `times`, `sizes`.
    """

    starts: Float[Array, "kept entries"]
    times: Float[Array, "steps"]
    sizes: Float[Array, "steps"]
    count: int

    @property
    def whole(self) -> bool:
        """Were all its states kept?"""
        return len(self.starts) == len(self.times)


class End(NamedTuple):
    """Where a derivative starts: inside step `number` of block `block`, `size` after its beginning."""

    block: int
    number: int
    size: float


@dataclasses.dataclass(frozen=True)
class Steps:
    """A recorded run, and the loop at its end."""

    blocks: list[Block]
    carry: Carry

    @property
    def end(self) -> End:
        """The end of the last step."""
        last = self.blocks[-1]
        return End(len(self.blocks) - 1, last.count - 1, float(last.sizes[last.count - 1]))

    def at(self, time: float) -> End:
        """A time inside one of the steps."""
        block = max(i for i, one in enumerate(self.blocks) if i == 0 or float(one.times[0]) < time)
        times = np.asarray(self.blocks[block].times[: self.blocks[block].count])
        number = max(int(np.searchsorted(times, time)) - 1, 0)
        return End(block, number, time - float(times[number]))


def record(prepared: Prepared, until: float) -> Steps:
    """Run as far as the step that reaches `until`.

    **Raises:** `RuntimeError` if the run fails before, or takes more than its `max_steps`.
    """
    plan = dataclasses.replace(prepared.plan, events=(), probes=())
    carry = start(plan)
    entries = jax.flatten_util.ravel_pytree(carry.state.flow)[0].size
    most = int(np.clip(NUMBERS // entries, 1, _MOST))
    budget, end = prepared.settings.max_steps, jnp.asarray(until, carry.step.dtype)
    blocks: list[Block] = []
    while int(carry.code) == Code.RUNNING and float(carry.clock.value) < until:
        if int(carry.steps) + int(carry.rejected) >= budget:
            raise RuntimeError(f"the run has no end to differentiate: {budget} steps (max_steps) end at "
                               f"t = {carry.clock.to_host():.6g}; the adjoint is that of explicit steps.")  # fmt: skip
        carry, (starts, times, sizes), count = _block(plan, carry, end, jnp.asarray(budget), most=most)
        kept = starts if (len(blocks) + 1) * starts.size <= NUMBERS else starts[:1]
        blocks.append(Block(kept, times, sizes, int(count)))
    if int(carry.code) not in (Code.RUNNING, Code.DONE):
        why = Code(int(carry.code)).name.lower().replace("_", " ")
        raise RuntimeError(f"the run has no end to differentiate: {why} at t = {carry.clock.to_host():.6g}.")
    return Steps([block for block in blocks if block.count], carry)


@eqx.filter_jit
def _block(
    plan: Plan, carry: Carry, until: Array, budget: Int[Array, ""], *, most: int
) -> tuple[Carry, tuple[Array, Array, Array], Int[Array, ""]]:
    """Up to `most` accepted steps, with their beginnings, times and sizes."""

    def running(loop):
        carry, _, count = loop
        tries = carry.steps + carry.rejected
        return (carry.code == Code.RUNNING) & (count < most) & (carry.clock.value < until) & (tries < budget)

    def body(loop):
        carry, rows, count = loop
        after, _, _ = proceed(plan, carry, jnp.ones((), int))
        began = (flat(carry), carry.clock.value, carry.clock.until(after.clock))
        rows = jax.tree.map(lambda kept, x: kept.at[count].set(x), rows, began)
        return after, rows, count + (after.steps - carry.steps)  # the row of a rejected step is written again

    def flat(carry):
        return jax.flatten_util.ravel_pytree(carry.state.flow)[0]

    zeros = jnp.zeros(most, carry.step.dtype)
    rows = (jnp.zeros((most, flat(carry).size), flat(carry).dtype), zeros, zeros)
    carry, rows, count = jax.lax.while_loop(running, body, (carry, rows, jnp.zeros((), int)))
    used = jnp.arange(most) < count  # the row after the last may hold a rejected step
    return carry, (rows[0], jnp.where(used, rows[1], 0), jnp.where(used, rows[2], 0)), count
