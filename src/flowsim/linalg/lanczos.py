"""Lanczos' three-term recurrence: a symmetric matrix in the space that a vector spans under it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num, PyTree

Product = Callable[[Float[Array, "entries"]], Float[Array, "entries"]]
Judge = Callable[["Tridiagonal"], tuple[Bool[Array, ""], PyTree]]


class Tridiagonal(NamedTuple):
    """J in an orthonormal basis of the space of b, J b, J² b, …: J V = V T + rest eᵀ, with T tridiagonal.

    **Fields:** `basis`: rows are the vectors (the first is b itself where ‖b‖ = 0); `rest`: what J makes of the last
    vector in use beyond the space; `start`: ‖b‖; `diagonal`, `off`: of T, the last of `off` in use being ‖rest‖;
    `size`: vectors in use; `exhausted`: is the space closed under J, so that what is left is rounding?
    """

    basis: Float[Array, "most entries"]
    rest: Float[Array, "entries"]
    start: Float[Array, ""]
    diagonal: Float[Array, "most"]
    off: Float[Array, "most"]
    size: Num[Array, ""]
    exhausted: Bool[Array, ""]


def lanczos(
    product: Product,
    b: Float[Array, "entries"],
    *,
    most: int,
    weights: Float[Array, "entries"] | None = None,
    orthogonalize: bool = True,
    judge: Judge | None = None,
    verdict: PyTree = (),
) -> tuple[Tridiagonal, PyTree, Bool[Array, ""]]:
    """Grow the space by one product after the other, until it is exhausted, judged good enough, or `most` are spent.

    **Arguments:**

    - `product`: v -> J v, with J symmetric in the inner product Σ weight x y (weights 1 if None).
    - `orthogonalize`: against all earlier vectors, twice. Eigenvalues need it, or they would come out several times;
      functions of J forgive its absence (Druskin, Greenbaum, Knizhnerman 1998, SIAM J. Sci. Comput. 19, 38-54), and
      the loop then never reads the basis.
    - `judge`: `(space, verdict so far) -> (good enough, verdict)` after each product; `verdict`: the first.

    **Returns:** the space, the last verdict, and whether it was judged good enough.
    """
    dtype = b.dtype
    one = jnp.ones((), dtype) if weights is None else weights

    def dot(x, y):
        return jnp.sum(one * x * y)

    def running(loop):
        space, _, _, done = loop
        return ~done & (space.size < most)

    def grow(loop):
        space, before, verdict, _ = loop
        # The vector of this pass is the last pass's rest; b itself in the first.
        back = jnp.where(space.size > 0, space.off[jnp.maximum(space.size - 1, 0)], 0)
        here = space.rest / jnp.where(space.size > 0, back, 1)
        basis = space.basis.at[space.size].set(here)  # unless it is read below, XLA writes it in place
        image = product(here)
        along = dot(here, image)
        rest = image - along * here - back * before
        if orthogonalize:
            for _ in range(2):  # rounding of the first round has left some of the old directions in
                rest = rest - (basis @ (one * rest)) @ basis
        left = jnp.sqrt(dot(rest, rest))
        diagonal, off = space.diagonal.at[space.size].set(along), space.off.at[space.size].set(left)
        # What is left of a space that is exhausted is rounding: a vector made of it would be noise.
        largest = jnp.maximum(jnp.max(jnp.abs(diagonal)), jnp.max(off))
        exhausted = left <= 10 * jnp.finfo(dtype).eps * largest
        grown = Tridiagonal(basis, rest, space.start, diagonal, off, space.size + 1, exhausted)
        done = jnp.zeros((), bool)
        if judge is not None:
            done, verdict = judge(grown, verdict)
        return grown, here, verdict, done | exhausted | ~jnp.isfinite(left)

    start = jnp.sqrt(dot(b, b))
    first = b / jnp.where(start > 0, start, 1)
    row = jnp.zeros(most, dtype)
    basis = jnp.zeros((most, b.size), dtype).at[0].set(first)
    empty = Tridiagonal(basis, first, start, row, row, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    space, _, verdict, done = jax.lax.while_loop(running, grow, (empty, jnp.zeros_like(b), verdict, start == 0))
    return space, verdict, done


def matrix(space: Tridiagonal) -> Float[Array, "most most"]:
    """T, with zeros where no vector is in use."""
    most = len(space.diagonal)
    inside = jnp.arange(most) < space.size
    off = jnp.where(inside[1:], space.off[:-1], 0)
    return jnp.diag(jnp.where(inside, space.diagonal, 0)) + jnp.diag(off, 1) + jnp.diag(off, -1)
