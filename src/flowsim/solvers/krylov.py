"""Functions of a symmetric Jacobian times a vector, from products with it alone."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ..linalg import Tridiagonal, lanczos

_TERMS = 18  # of Taylor's series: below |z| = 1 the rest is under one unit of rounding

Function = Callable[[Float[Array, "size"]], Float[Array, "size"]]


class Krylov(NamedTuple):
    """The space of b, J b, J² b, … in an orthonormal basis, and J in it: J V = V T + rest · v eᵀ.

    **Fields:** `basis`: rows are the vectors (the first is b itself where ‖b‖ = 0); `rest`: what J makes of the last
    vector in use beyond the space, rest · v above; `start`: ‖b‖; `diagonal`, `off`: of T; `values`, `vectors`:
    eigenvalues (Ritz values) and eigenvectors of T; `size`: vectors in use; `extra`: 1 for entries of weight 0;
    `converged`: was the tolerance reached?
    """

    basis: Float[Array, "most entries"]
    rest: Float[Array, "entries"]
    start: Float[Array, ""]
    diagonal: Float[Array, "most"]
    off: Float[Array, "most"]
    values: Float[Array, "most"]
    vectors: Float[Array, "most most"]
    size: Num[Array, ""]
    extra: Float[Array, "entries"]
    converged: Array

    def apply(self, g: Function, divided: Function) -> tuple[Float[Array, "entries"], Float[Array, "entries"]]:
        """(g(J) b, J g(J) b).

        **Arguments:** `divided`: (g(z) - g(0))/z. For an extra entry J has an eigenvalue 0 that is not in the space;
        with this much of the rest added, g is right there too (Saad's corrected scheme).
        """
        last = self.size - 1
        weights = self._weights(g)
        images = self.diagonal * weights
        images = images.at[1:].add(self.off[:-1] * weights[:-1]).at[:-1].add(self.off[:-1] * weights[1:])
        images = jnp.where(jnp.arange(len(images)) < self.size, images, 0)
        # One product with the whole basis: a loop over the vectors in use would copy the basis first.
        found, image = jnp.stack([weights, images]) @ self.basis
        found = found + self.extra * self._weights(divided)[last] * self.rest
        alone = g(jnp.zeros(1, self.rest.dtype))[0] * self.extra * self.basis[0]  # b has no part that J sees
        return jnp.where(self.start > 0, found, alone), image + jnp.where(self.start > 0, weights[last], 0) * self.rest

    def _weights(self, g: Function) -> Float[Array, "most"]:
        """g(T) e₁ ‖b‖."""
        return self.start * (self.vectors @ (g(self.values) * self.vectors[0]))


def krylov(
    product: Callable[[Float[Array, "entries"]], Float[Array, "entries"]],
    b: Float[Array, "entries"],
    error: Function,
    *,
    tolerance: Float[Array, ""],
    weights: Float[Array, "entries"],
    most: int,
    first: Int[Array, ""],
) -> Krylov:
    """Grow the space until g(J) b is known to a tolerance, or `most` products are spent.

    **Arguments:**

    - `product`: v -> J v. J is symmetric in the inner product Σ weight x y. Extra entries have weight 0: they are
      propagated with the basis, and J does not depend on them.
    - `error`: the function whose value e_sizeᵀ error(T) e_1, times ‖b‖ and the rest, bounds the error.
    - `first`: size at which to look first whether the tolerance is reached; looking costs an eigenvalue problem.
    """
    ladder = jnp.asarray(_ladder(most))

    def judge(space: Tridiagonal, spectrum):
        # Also where the recurrence breaks down: what was reached until then has to be known.
        look = (ladder[space.size] & (space.size >= first)) | (space.size == most) | space.exhausted
        look = look | ~jnp.isfinite(space.off[space.size - 1])

        def judged():
            values, vectors = _spectral(space.diagonal, space.off, space.size, most)
            last = jnp.take(vectors, space.size - 1, axis=0)
            share = jnp.abs(jnp.sum(last * error(values) * vectors[0]))
            bound = space.start * space.off[space.size - 1] * share
            return (bound <= tolerance) | space.exhausted, (values, vectors)

        return jax.lax.cond(look, judged, lambda: (jnp.zeros((), bool), spectrum))

    nothing = (jnp.zeros(most, b.dtype), jnp.eye(most, dtype=b.dtype))
    space, (values, vectors), done = lanczos(
        product, b, most=most, weights=weights, orthogonalize=False, judge=judge, verdict=nothing
    )
    start, off = space.start, space.off
    sound = jnp.all(jnp.isfinite(values)) & jnp.isfinite(start) & jnp.all(jnp.isfinite(off))
    extra = (weights == 0).astype(b.dtype)
    return Krylov(space.basis, space.rest, start, space.diagonal, off, values, vectors, space.size, extra, done & sound)


def _ladder(most: int) -> np.ndarray:
    """At which sizes to look: every one up to 8, then steps of an eighth."""
    marks, size = np.zeros(most + 1, bool), 1
    while size <= most:
        marks[size] = True
        size += max(1, size // 8)
    return marks


def _spectral(diagonal, off, size, most: int):
    """Eigenvalues and eigenvectors of T, filled up with eigenvalues 0 of vectors that b does not meet."""
    inside = jnp.arange(most) < size
    diagonal = jnp.where(inside, diagonal, 0)
    off = jnp.where(inside[1:], off[:-1], 0)

    def of(bucket: int):
        def solve():
            matrix = jnp.diag(diagonal[:bucket]) + jnp.diag(off[: bucket - 1], 1) + jnp.diag(off[: bucket - 1], -1)
            values, vectors = _eigh(matrix)
            whole = jnp.eye(most, dtype=diagonal.dtype).at[:bucket, :bucket].set(vectors)
            return jnp.zeros_like(diagonal).at[:bucket].set(values), whole

        return solve

    buckets = _buckets(most)
    # eigh costs like the cube of the size, so that one of the next power of two is worth its own branch.
    return jax.lax.switch(jnp.searchsorted(jnp.asarray(buckets), size), [of(bucket) for bucket in buckets])


@jax.custom_batching.sequential_vmap
def _eigh(matrix: Float[Array, "size size"]) -> tuple[Float[Array, "size"], Float[Array, "size size"]]:
    """One matrix after the other also under vmap: jaxlib 0.10 can wait for itself in a batch of them on two cores."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


def _buckets(most: int) -> list[int]:
    return [*(b for b in (4, 8, 16, 32) if b < most), most]


def phi(k: int, z: Float[Array, "size"]) -> Float[Array, "size"]:
    """φ_k(z) = Σ z^j / (j + k)!, that is (e^z - 1)/z for k = 1, and φ_k = (φ_{k-1} - 1/(k-1)!)/z. For real z."""
    near, far = jnp.where(jnp.abs(z) < 1, z, 0), jnp.where(jnp.abs(z) < 1, 1, z)
    series = jnp.zeros_like(z)
    for j in reversed(range(_TERMS)):
        series = series * near + 1 / math.factorial(j + k)
    closed = jnp.expm1(far) / far
    for j in range(1, k):
        closed = (closed - 1 / math.factorial(j)) / far
    return jnp.where(jnp.abs(z) < 1, series, closed)
