"""Eigenvalues of a symmetric matrix that is known by its products: the extreme ones, and the whole density."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .lanczos import Product, Tridiagonal, lanczos, matrix


class Extremes(NamedTuple):
    """The eigenvalues at both ends of a spectrum.

    **Fields:** `lowest`, in ascending order, and `largest`, in descending order; `lowest_errors`, `largest_errors`:
    an eigenvalue lies within this distance of each; `lowest_vectors`: approximate eigenvectors, as rows.
    """

    lowest: Float[Array, "count"]
    largest: Float[Array, "count"]
    lowest_errors: Float[Array, "count"]
    largest_errors: Float[Array, "count"]
    lowest_vectors: Float[Array, "count entries"]


def extremes(product: Product, start: Float[Array, "entries"], *, count: int, steps: int) -> Extremes:
    """The `count` lowest and `count` largest eigenvalues by `steps` Lanczos steps with full reorthogonalization.

    Each Ritz value θ with eigenvector s of T has an eigenvalue of the matrix within ‖rest‖ |s_last| (residual bound).
    The largest are approached from below, the lowest from above. Where the space is exhausted earlier, what is missing
    repeats the last value: eigenvectors that `start` does not meet, and further copies of an eigenvalue, are not seen.
    """
    steps = min(steps, start.size)
    space, _, _ = lanczos(product, start, most=steps)
    values, vectors = _ritz(space)
    bounds = space.off[space.size - 1] * jnp.abs(jnp.take(vectors, space.size - 1, axis=0))
    bounds = jnp.where(space.exhausted, 10 * jnp.finfo(start.dtype).eps * jnp.max(jnp.abs(values)), bounds)
    order = jnp.arange(count)
    low = jnp.minimum(order, space.size - 1)
    high = jnp.maximum(space.size - 1 - order, 0)
    return Extremes(values[low], values[high], bounds[low], bounds[high], vectors[:, low].T @ space.basis)


def _ritz(space: Tridiagonal) -> tuple[Float[Array, "most"], Float[Array, "most most"]]:
    """Eigenvalues of T in ascending order, and its eigenvectors as columns; what is not in use stands last."""
    most = len(space.diagonal)
    unused = jnp.arange(most) >= space.size
    above = 1 + 2 * (jnp.max(jnp.abs(space.diagonal)) + 2 * jnp.max(space.off))  # beyond Gershgorin's discs
    return jnp.linalg.eigh(matrix(space) + jnp.diag(jnp.where(unused, above, 0)))


def quadrature(
    product: Product, starts: Float[Array, "starts entries"], *, steps: int
) -> tuple[Float[Array, "starts steps"], Float[Array, "starts steps"]]:
    """Stochastic Lanczos quadrature: nodes and weights with (1/P) tr f(J) ≈ mean over starts of Σ weight f(node).

    Of each start with independent entries of mean 0 and variance 1 the rule is exact for its own quadratic form up to
    polynomials of degree 2 steps - 1; over the starts the mean has a standard error that their spread tells. Weights
    of one start sum to 1; nodes that are not in use have weight 0.

    **Reference:** Golub, Meurant (2010), Matrices, Moments and Quadrature; Ubaru, Chen, Saad (2017), SIAM J. Matrix
    Anal. Appl. 38, 1075-1099; Ghorbani, Krishnan, Xiao (2019), An investigation into neural net optimization via
    Hessian eigenvalue density.
    """
    steps = min(steps, starts.shape[1])

    def one(start):
        space, _, _ = lanczos(product, start, most=steps)
        values, vectors = _ritz(space)
        used = jnp.arange(steps) < space.size
        return jnp.where(used, values, values[space.size - 1]), jnp.where(used, vectors[0] ** 2, 0)

    return jax.lax.map(one, starts)


def hessian_product(risk: Callable[[PyTree], Array], parameters: PyTree) -> tuple[Product, Float[Array, "entries"]]:
    """v -> H v of flat vectors, with H the Hessian of `risk`; and the parameters as a flat vector."""
    flat, unravel = jax.flatten_util.ravel_pytree(parameters)
    gradient = jax.grad(lambda x: risk(unravel(x)))

    def product(v):
        return jax.jvp(gradient, (flat,), (v,))[1]

    return product, flat
