"""Saddles that a flow passes: the local minima of the gradient's norm along it."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._types import Parameters, Scalar
from ..linalg import extremes, hessian_product, quadrature
from ..moment import Moment
from .event import Event

_DENSE = 256  # parameters up to which the whole Hessian is diagonalized: the index is exact then
_STEPS = 2000  # of the path after a saddle
_GROWN = 10.0  # by how much the gradient has grown where "after" is


def saddle(
    *,
    count: int = 6,
    steps: int = 48,
    threshold: float = 0.02,
    floor: float = 1e-9,
    name: str = "saddle",
    terminal: bool = False,
) -> Event:
    """Every local minimum of ‖∇L‖ along the flow: d‖∇L‖²/dt = -2 ∇Lᵀ H ∇L crosses 0 upwards.

    A flow from a small start goes from saddle to saddle; it is nearest to each when the gradient is smallest, and the
    loss there is the plateau's height. Each crossing records, besides the scalar probes,

    - `lowest`: the `count` lowest eigenvalues of the Hessian, ascending; `largest`: the largest one;
    - `index`: how many eigenvalues are below -`threshold` times the largest in size;
    - `index_exact`: is the index that of the whole Hessian (up to 256 parameters), or counted among `lowest`, which
      Lanczos found (a lower bound: copies of an eigenvalue, and those beyond `count`, may be missing)?
    - `overlap`: the share of the velocity after the saddle, where the gradient has grown tenfold, that lies in the
      eigenspace of the lowest eigenvalue (those within 10 % of it): 1 if the flow leaves along it;
    - `height_error`: ½ Σ (v·∇L)²/|λ| over the eigenpairs, to second order the distance of the loss from that of the
      stationary point near by.

    All are of the user's own parameters; the eigenvalues of `threshold` and below count as 0 (symmetries of the model,
    whose directions are flat). At a degenerate saddle, where the negative eigenvalues vanish with the start's scale
    (three or more layers, linear attention), the index is 0.

    **Arguments:** `count`: eigenvalues. `steps`: Lanczos steps, for larger models. `threshold`: relative, in (0, 1).
    `floor`: gradients below this size count as rounding: minima of their norm are no events.

    **Raises:** `ValueError` for numbers that do not fit.

    **Reference:** Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks; Jacot et al. (2021), Saddle-to-saddle dynamics in deep linear networks.
    """
    _checks.count("count", count)
    _checks.count("steps", steps, least=2 * count)
    _checks.positive("floor", floor)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be in (0, 1), got {threshold}.")
    about = "a local minimum of the gradient's norm: the flow is nearest to a saddle"
    return Event(
        name,
        _Turning(floor),
        "up",
        terminal,
        about,
        records={key: _Record(key, count, steps, threshold) for key in _RECORDS},
    )


class _Turning(eqx.Module):
    """½ d‖∇L‖²/dt over ‖∇L‖²: minus the curvature along the flow; negative where the gradient is rounding."""

    floor: float

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        problem, here = moment.problem, moment.parameters
        velocity, _ = problem.velocity(here)
        rate, change = jax.jvp(lambda p: problem.velocity(p)[1], (here,), (velocity,))
        least = self.floor**2
        return ((change / 2 - least) / (rate + least))[None]


class Neighborhood(NamedTuple):
    """The risk near a state, to second order.

    **Fields:** `values`, ascending, and `vectors` (rows): eigenpairs of the Hessian, all or the lowest; `exact`: all;
    `largest`: its largest eigenvalue; `flat`: size up to which an eigenvalue counts as 0; `error`: `height_error`.
    """

    values: Float[Array, "found"]
    vectors: Float[Array, "found entries"]
    exact: Array
    largest: Scalar
    flat: Scalar
    error: Scalar


@eqx.filter_jit  # inside a program: traced once, however many records of a crossing ask
def neighborhood(moment: Moment, *, count: int, steps: int, threshold: float) -> Neighborhood:
    """Eigenpairs of the Hessian where the flow is, in the user's own parameters."""
    risk, here = moment.lift.original.risk, _as_made(moment)
    product, flat = hessian_product(risk, here)
    gradient = jax.flatten_util.ravel_pytree(jax.grad(risk)(here))[0]
    exact = flat.size <= _DENSE
    if exact:
        values, columns = jnp.linalg.eigh(jax.vmap(product)(jnp.eye(flat.size, dtype=flat.dtype)))
        vectors, largest, nodes, weights = columns.T, values[-1], values, (columns.T @ gradient) ** 2
    else:
        start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
        ends = extremes(product, start, count=count, steps=steps)
        values, vectors, largest = ends.lowest, ends.lowest_vectors, ends.largest[0]
        nodes, shares = quadrature(product, gradient[None], steps=steps)
        weights = jnp.ravel(shares) * jnp.sum(gradient**2)
    scale = jnp.maximum(jnp.abs(values[0]), jnp.abs(largest))
    # Along a symmetry curvature and slope are both rounding; elsewhere a small curvature is the distance's measure.
    least = jnp.sqrt(jnp.finfo(scale.dtype).eps) * scale
    error = jnp.sum(weights / jnp.maximum(jnp.abs(jnp.ravel(nodes)), least)) / 2
    return Neighborhood(values, vectors, jnp.asarray(exact), largest, threshold * scale, error)


def _as_made(moment: Moment) -> Parameters:
    lift = moment.lift
    if not lift.recoverable:
        raise ValueError("the event saddle needs single parameters: use another reduction (auto, rotation, none).")
    return moment.parameters if lift.lift is None else lift.lift(moment.parameters)


class _Record(eqx.Module):
    quantity: str = eqx.field(static=True)
    count: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    threshold: float = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Array:
        near = neighborhood(moment, count=self.count, steps=self.steps, threshold=self.threshold)
        if self.quantity == "lowest":
            return near.values[: self.count]
        if self.quantity == "largest":
            return near.largest
        if self.quantity == "index":
            return jnp.sum(near.values < -near.flat).astype(near.values.dtype)
        if self.quantity == "index_exact":
            return near.exact.astype(near.values.dtype)
        return near.error if self.quantity == "height_error" else _overlap(moment, near)


_RECORDS = ("lowest", "largest", "index", "index_exact", "overlap", "height_error")


def _overlap(moment: Moment, near: Neighborhood) -> Scalar:
    """The share of the later velocity in the eigenspace of the lowest eigenvalue; 0 where none is negative."""
    risk = moment.lift.original.risk
    start, unravel = jax.flatten_util.ravel_pytree(_as_made(moment))
    gradient = jax.grad(lambda x: risk(unravel(x)))
    least = jnp.linalg.norm(gradient(start))
    h = 0.5 / jnp.maximum(jnp.abs(near.values[0]), jnp.abs(near.largest))  # well inside the stability of the method

    def going_on(loop):
        _, slope, k = loop
        return (jnp.linalg.norm(slope) < _GROWN * least) & (k < _STEPS)

    def step(loop):  # the classical fourth-order method
        x, k1, k = loop
        k2 = gradient(x - h / 2 * k1)
        k3 = gradient(x - h / 2 * k2)
        k4 = gradient(x - h * k3)
        x = x - h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return x, gradient(x), k + 1

    _, after, _ = jax.lax.while_loop(going_on, step, (start, gradient(start), 0))
    lowest = (near.values < 0.9 * near.values[0]) & (near.values < -near.flat)
    parts = jnp.where(lowest, near.vectors @ after, 0)
    return jnp.linalg.norm(parts) / jnp.linalg.norm(after)
