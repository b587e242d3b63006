"""Gaussian matrices of any height by their triangular factor, which is all that the flow can see of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key
from ..models import FactoredTransformer, InfiniteWidthTransformer


def draw_factors(model: FactoredTransformer, *, sigma0: float, sigma1: float, key: Key) -> FactoredTransformer:
    """Coordinates equal in law to those of W_ij ~ N(0, σ1²) and W_V, W_K, W_Q ~ N(0, σ0²).

    [û W_V] and [W_K W_Q] are Gaussian matrices with independent rows: given a, û = Wᵀa/‖a‖ ~ N(0, σ1² I). Each enters
    the flow through its inner products alone, that is through its triangular factor.
    """
    if model.V.shape[1] != model.vocabulary:
        raise ValueError("only a model of FactoredTransformer.of_size can be drawn in law.")
    key_value, key_attention = jax.random.split(key)
    d, m, dtype = model.vocabulary, int(model.width), model.V.dtype
    value = triangular(key_value, m, d + 1, dtype)
    attention = triangular(key_attention, m, 2 * d, dtype)
    drawn = (sigma1 * value[:, 0], sigma0 * value[:, 1:], sigma0 * attention[:, :d], sigma0 * attention[:, d:])
    return eqx.tree_at(lambda m: (m.u_hat, m.V, m.K, m.Q), model, drawn)


def draw_limit(model: InfiniteWidthTransformer, *, length: int, c0: float, c1: float, key: Key):
    """G(μ) ~ N(0, c0² c1²/L), the limit of ‖a‖ û·V μ; with one key the limit of `draw_factors` number by number."""
    first_row = _normals(jax.random.split(key)[0], model.vocabulary + 1, model.G.dtype)[0, 1:]
    G = c0 * c1 / np.sqrt(length) * first_row
    squared = jnp.asarray(c0**2 / length, model.G.dtype)
    return eqx.tree_at(lambda m: (m.G, m.column_squared), model, (G, squared))


def triangular(key: Key, rows: int, columns: int, dtype) -> Float[Array, "rank columns"]:
    """The R factor of a (rows, columns) standard Gaussian matrix: N(0, 1) above the diagonal, χ_{rows - i} on it.

    The numbers above the diagonal do not depend on `rows`, so that one key gives models of all widths at once.

    **Reference:** Bartlett (1933), On the theory of statistical regression; Muirhead (1982), Theorem 3.2.14.
    """
    rank = min(rows, columns)
    normals = _normals(key, columns, dtype)[:rank]
    # NumPy's sampler: JAX's would be compiled for each size, which takes longer than the flow of a small problem.
    seed = np.asarray(jax.random.key_data(jax.random.fold_in(key, 1))).ravel()
    degrees = np.asarray(rows, np.float64) - np.arange(rank)
    chi = jnp.asarray(np.sqrt(np.random.default_rng(seed).chisquare(degrees)), dtype)
    return jnp.triu(normals, 1).at[jnp.arange(rank), jnp.arange(rank)].set(chi)


def _normals(key: Key, columns: int, dtype) -> Float[Array, "columns columns"]:
    return jax.random.normal(jax.random.fold_in(key, 0), (columns, columns), dtype)
