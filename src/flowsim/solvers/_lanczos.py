"""Functions of a symmetric Jacobian times a vector, from products with it alone (Lanczos)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

_TERMS = 18  # of Taylor's series: below |z| = 1 the rest is under one unit of rounding

Function = Callable[[Float[Array, "size"]], Float[Array, "size"]]


class Krylov(NamedTuple):
    """The space of b, J b, J² b, … in an orthonormal basis, and J in it: J V = V T + rest · v eᵀ.

    **Fields:** `basis`: rows are the vectors, the one after the last used among them; `start`: ‖b‖; `diagonal`,
    `off`: of T, `off` with the rest as its last entry; `values`, `vectors`: eigenvalues (Ritz values) and eigenvectors
    of T; `size`: vectors in use; `converged`: was the tolerance reached?
    """

    basis: Float[Array, "_ entries"]
    start: Float[Array, ""]
    diagonal: Float[Array, "most"]
    off: Float[Array, "most"]
    values: Float[Array, "most"]
    vectors: Float[Array, "most most"]
    size: Int[Array, ""]
    converged: Bool[Array, ""]

    @property
    def radius(self) -> Float[Array, ""]:
        """The largest Ritz value in modulus: a lower bound of the spectral radius, and close to it."""
        return jnp.max(jnp.abs(self.values))

    def apply(self, g: Function) -> tuple[Float[Array, "entries"], Float[Array, "entries"]]:
        """(g(J) b, J g(J) b)."""
        weights = self.start * (self.vectors @ (g(self.values) * self.vectors[0]))
        images = _tridiagonal(self.diagonal, self.off, weights)
        none = jnp.zeros_like(self.basis[0])

        def add(j, sums):
            return sums[0] + weights[j] * self.basis[j], sums[1] + images[j] * self.basis[j]

        # Only the vectors in use are read: the others would cost as much memory traffic as many products.
        found, image = jax.lax.fori_loop(0, self.size, add, (none, none))
        return found, image + images[self.size] * self.basis[self.size]


def _tridiagonal(diagonal, off, weights) -> Float[Array, "_"]:
    """T times weights, with the row of the rest below it."""
    inner = jnp.concatenate([diagonal * weights, jnp.zeros(1, weights.dtype)])
    inner = inner.at[1:].add(off * weights)
    return inner.at[:-2].add(off[:-1] * weights[1:])


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

    Three-term recurrence without orthogonalising again: the functions of this package forgive what orthogonality is
    lost (Druskin, Greenbaum, Knizhnerman 1998, SIAM J. Sci. Comput. 19, 38-54).

    **Arguments:**

    - `product`: v -> J v. J is symmetric in the inner product Σ weight x y. Entries of weight 0 are passengers: they
      ride along in all vectors, and J does not see them.
    - `error`: the function whose value e_sizeᵀ error(T) e_1, times ‖b‖ and the rest, bounds the error.
    - `first`: size at which to look first whether the tolerance is reached; looking costs an eigenvalue problem.
    """
    dtype = b.dtype
    ladder = jnp.asarray(_ladder(most))

    def dot(x, y):
        return jnp.sum(weights * x * y)

    start = jnp.sqrt(dot(b, b))
    basis = jnp.zeros((most + 1, b.size), dtype).at[0].set(b / jnp.where(start > 0, start, 1))
    row = jnp.zeros(most, dtype)

    def going_on(loop):
        *_, size, done = loop
        return ~done & (size < most)

    def grow(loop):
        basis, diagonal, off, values, vectors, size, _ = loop
        here, before = basis[size], basis[jnp.maximum(size - 1, 0)]
        image = product(here)
        along = dot(here, image)
        back = jnp.where(size > 0, off[jnp.maximum(size - 1, 0)], 0)
        image = image - along * here - back * before
        rest = jnp.sqrt(dot(image, image))
        # What is left of a space that is exhausted is rounding.
        largest = jnp.maximum(jnp.max(jnp.abs(diagonal)), jnp.maximum(jnp.max(off), jnp.abs(along)))
        rest = jnp.where(rest > 100 * jnp.finfo(dtype).eps * largest, rest, 0)
        basis = basis.at[size + 1].set(image / jnp.where(rest > 0, rest, jnp.inf))
        diagonal, off, size = diagonal.at[size].set(along), off.at[size].set(rest), size + 1
        look = (ladder[size] & (size >= first)) | (rest == 0) | (size == most) | ~jnp.isfinite(rest)

        def judged():
            values, vectors = _spectral(diagonal, off, size, most)
            last = jnp.take(vectors, size - 1, axis=0)
            bound = start * rest * jnp.abs(jnp.sum(last * error(values) * vectors[0]))
            return values, vectors, (bound <= tolerance) | (rest == 0)

        values, vectors, done = jax.lax.cond(look, judged, lambda: (values, vectors, jnp.zeros((), bool)))
        return basis, diagonal, off, values, vectors, size, done | ~jnp.isfinite(rest)

    nothing = start == 0
    loop = (basis, row, row, row, jnp.eye(most, dtype=dtype), jnp.zeros((), jnp.int32), nothing)
    basis, diagonal, off, values, vectors, size, done = jax.lax.while_loop(going_on, grow, loop)
    sound = jnp.all(jnp.isfinite(values)) & jnp.isfinite(start)
    return Krylov(basis, start, diagonal, off, values, vectors, size, done & sound)


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
