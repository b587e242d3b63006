"""The largest eigenvalue of the Jacobian along the path, from Jacobian-vector products."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from .. import _tree

MOST_PRODUCTS = 50  # of one estimate from nothing; a gap this small hardly matters to a stability bound
_SETTLED = 0.01  # relative change at which the power iteration stops
_TRACKED = 0.03  # relative change over a warm start that counts as "the old estimate still holds"
_FRESH_SLOPE = 0.1  # share of the slope in the starting vector: what has begun to grow is in it


class Spectrum(eqx.Module):
    """What is known of the Jacobian's spectrum.

    **Fields:**

    - `direction`: unit vector, approximate eigenvector of the largest eigenvalue; lives through the whole run.
    - `radius`: the spectral radius, a lower bound that a safety factor is applied to; 0 if nothing is known yet.
    - `age`: stages taken since it was estimated.
    - `doubted`: a step was rejected since, so that it is to be estimated anew and to convergence.
    """

    direction: PyTree
    radius: Float[Array, ""]
    age: Int[Array, ""]
    doubted: Bool[Array, ""]


def unknown(y: PyTree) -> Spectrum:
    """Nothing known: a random direction, so that no eigenvector is missed but by accident (one fixed stream)."""
    leaves, structure = jax.tree.flatten(y)
    keys = jax.random.split(jax.random.key(0), max(len(leaves), 1))
    drawn = [jax.random.normal(k, jnp.shape(x), x.dtype) for k, x in zip(keys, leaves, strict=False)]
    zero = jnp.zeros((), _tree.dtype(y))
    return Spectrum(_unit(structure.unflatten(drawn)), zero, jnp.zeros((), jnp.int32), jnp.ones((), bool))


def refresh(
    known: Spectrum,
    field: Callable[[PyTree], PyTree],
    y: PyTree,
    slope: PyTree,
    wanted: Bool[Array, ""],
    *,
    most: int = MOST_PRODUCTS,
) -> tuple[Spectrum, Int[Array, ""]]:
    """Estimate the spectral radius at y by power iteration, if `wanted`.

    A trusted estimate is the warm start: one product confirms it if it has not moved by more than 3 %, more follow if
    it has. A doubted one is iterated until it settles to 1 %. Norms of products only: a gradient flow in reduced
    coordinates has a Jacobian that is similar to a symmetric one, not symmetric itself.

    **Returns:** the spectrum, and how many Jacobian-vector products it took.
    """
    start = _unit(_tree.add(known.direction, _tree.scale(_FRESH_SLOPE, _unit(slope))))

    def going_on(loop):
        _, radius, before, count = loop
        allowed = jnp.where((count == 1) & ~known.doubted, _TRACKED, _SETTLED)
        moved = jnp.abs(radius - before) > allowed * radius
        return wanted & ((count == 0) | (moved & (count < most)))

    def product(loop):
        direction, radius, _, count = loop
        image = jax.jvp(field, (y,), (direction,))[1]
        size = _tree.norm(image)
        # A zero image says "no stiffness in this direction"; the direction is kept for the next try.
        direction = jax.tree.map(
            lambda v, w: jnp.where(size > 0, w / jnp.where(size > 0, size, 1), v), direction, image
        )
        return direction, size, radius, count + 1

    first = jnp.where(known.doubted, -1.0, known.radius).astype(known.radius.dtype)
    direction, radius, _, count = jax.lax.while_loop(going_on, product, (start, first, first, jnp.zeros((), jnp.int32)))
    found = Spectrum(direction, radius, jnp.zeros_like(known.age), jnp.zeros_like(known.doubted))
    return jax.tree.map(lambda a, b: jnp.where(wanted, a, b), found, known), count


def spectral_radius(
    field: Callable[[PyTree], PyTree], y: PyTree, *, most: int = MOST_PRODUCTS
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The spectral radius of a field's Jacobian at y, and how many products it took; a lower bound, to about 1 %
    unless `most` products are too few for that."""
    found, products = refresh(unknown(y), field, y, field(y), jnp.ones((), bool), most=most)
    return found.radius, products


def _unit(x: PyTree) -> PyTree:
    size = _tree.norm(x)
    return jax.tree.map(lambda a: a / jnp.where(size > 0, size, 1), x)
