"""The flow's path at many times of a step, as a product with a few of its states.

A solver's dense output is a polynomial in time, and reading it costs a pass over all of a step's slopes. An optimizer
takes hundreds of steps within one of the flow: the polynomial is read at as many points as determine it, and weights of
these give it at every other time.
"""

import dataclasses

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._jit import fast_compile
from ..moment import Moment
from ..probes import Probe
from ..simulation import Carry, Clock, Plan, Prepared, advance

NODES = 12  # determine every dense output of degree <= 11; those of the listed solvers are of degree <= 7


class _Parameters(eqx.Module):
    def __call__(self, moment: Moment) -> Float[Array, "parameters"]:
        return jax.flatten_util.ravel_pytree(moment.parameters)[0]


def stepwise(prepared: Prepared) -> Prepared:
    """The same run, a step a chunk, which saves nothing on its way."""
    plan = prepared.plan
    saves = jax.tree.map(lambda x: jnp.broadcast_to(x, (NODES,)), plan.end)
    path = Probe("path", None, "parameters", "1", _Parameters())
    plan = dataclasses.replace(plan, probes=(path,), capacity=NODES, saves=saves, goes_back=True)
    times = np.full(NODES, plan.end.to_host())
    return dataclasses.replace(prepared, plan=plan, save_times=times, chunk_steps=1, keep_rows=False)


def read(plan: Plan, before: Carry, times: np.ndarray) -> Float[Array, "nodes parameters"]:
    """The flow at up to `NODES` times of the step that it takes from `before`, the last one over again to fill up.

    The step is taken once more, by the program that took it.
    """
    dtype = plan.end.high.dtype
    padded = np.concatenate([times, np.full(NODES - len(times), times[-1])])
    plan = dataclasses.replace(plan, saves=Clock.at(padded, dtype))
    fresh = eqx.tree_at(lambda carry: carry.saved, before, jnp.zeros_like(before.saved))
    carry, rows, count = advance(plan, fresh, jnp.asarray(1))
    return _completed(plan, carry, rows["path"], count)


@fast_compile
def _completed(plan: Plan, carry: Carry, rows: Array, count: Int[Array, ""]) -> Float[Array, "nodes parameters"]:
    """Times beyond the step's end, by a rounding of the clock, are its end."""
    end = jax.flatten_util.ravel_pytree(plan.flow.parameters(carry.state.flow))[0]
    return jnp.where(jnp.arange(NODES)[:, None] < count, rows, end)


def nodes(start: float, end: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where to read a step, and the weights by which its states there give those at `times`.

    **Arguments:** `start`, `end`: of the step; `times`: in it.

    **Returns:** the nodes, in increasing order, at most `NODES`; the weights (times, `NODES`): Lagrange's polynomials
    at Chebyshev points, by the second barycentric formula. Few times are read as they are.

    **Reference:** Berrut and Trefethen (2004), Barycentric Lagrange interpolation, equation 4.2.
    """
    if len(times) <= NODES:
        return times, np.eye(len(times), NODES)
    angles = (2 * np.arange(NODES)[::-1] + 1) * np.pi / (2 * NODES)
    points, factors = np.cos(angles), np.sin(angles) * (-1.0) ** np.arange(NODES)
    apart = (2 * (times - start) / (end - start) - 1)[:, None] - points
    at_node = apart == 0
    terms = factors / np.where(at_node, 1.0, apart)
    weights = np.where(at_node.any(1, keepdims=True), at_node, terms / terms.sum(1, keepdims=True))
    return start + (end - start) * (1 + points) / 2, weights
