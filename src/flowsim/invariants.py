"""Quantities that the exact gradient flow conserves, so that any drift is the integrator's error.

Where a risk depends on two arrays only through a product A B (summed over a shared axis of size r), it does not change
under A -> A M, B -> M⁻¹ B for any invertible M. The flow then conserves the r × r matrix AᵀA - B Bᵀ (Noether's theorem
for gradient flows; Du, Hu, Lee 2018, Algorithmic Regularization in Learning Deep Homogeneous Models). For the paper's
model the pairs are (W_K, W_Q) and (W, W_V) over the embedding axis.

The pairs need not be named: infinitesimally the symmetry says that contracting A with ∂A over all its other axes gives
the same matrix as contracting ∂B with B, at every point. A few random points tell products from accidents.

Two arrays x, y of one shape may also enter entry by entry: as x∘y, which conserves x∘x - y∘y; or as x∘x - y∘y, which
conserves x∘y (diagonal linear networks: Woodworth et al. 2020). Where only a common factor can be moved from one array
to another, as between layers with homogeneous activations, ‖x‖² - ‖y‖² is conserved (Du, Hu, Lee 2018).
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from . import _tree
from ._types import Parameters
from .problem import Problem

_LARGEST = 512  # shared axes above this size are looked at through a random projection


@dataclasses.dataclass(frozen=True)
class Product:
    """Two leaves of the parameters that enter the risk only as a product over one axis of each.

    **Fields:** `name`; `leaves`: their positions in flattening order; `axes`: the axis of each that is summed over.
    """

    name: str
    leaves: tuple[int, int]
    axes: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two leaves x, y of the parameters of which the flow conserves a `quantity`.

    **Fields:** `name`; `leaves`: their positions in flattening order; `quantity`: `squares` x∘x - y∘y, entry by entry;
    `product` x∘y, entry by entry; `norms` ‖x‖² - ‖y‖².
    """

    name: str
    leaves: tuple[int, int]
    quantity: Literal["squares", "product", "norms"]


Law = Product | Pair


def find(problem: Problem, *, points: int = 2, tolerance: float = 1e-8) -> tuple[Law, ...]:
    """Every law of conservation that is known for a pair of leaves and holds for this risk.

    Of two leaves with a finer law the coarser ones, which it implies, are left out.

    **Arguments:** `points`: random points at which the symmetry must hold. `tolerance`: relative.
    """
    if problem.metric is not None:
        return ()
    samples = [_point_and_gradient(problem, seed) for seed in range(points)]
    products = _products(problem, samples, tolerance)
    return (*products, *_pairs(problem, samples, tolerance, {frozenset(law.leaves) for law in products}))


def find_products(problem: Problem, *, points: int = 2, tolerance: float = 1e-8) -> tuple[Product, ...]:
    """Every pair of leaves, or of axes, that the risk knows only as a product; arguments as of `find`."""
    if problem.metric is not None:
        return ()
    return _products(problem, [_point_and_gradient(problem, seed) for seed in range(points)], tolerance)


def _products(problem: Problem, samples, tolerance: float) -> tuple[Product, ...]:
    names = _tree.paths(problem.parameters)
    shapes = [np.shape(x) for x in jax.tree.leaves(problem.parameters)]
    found = []
    axes = [(i, a) for i, shape in enumerate(shapes) if np.prod(shape) for a in range(len(shape))]
    for (i, a), (j, b) in itertools.combinations(axes, 2):
        if i == j or shapes[i][a] != shapes[j][b]:
            continue
        if all(_conserved(x[i], g[i], a, x[j], g[j], b, tolerance) for x, g in samples):
            found.append(Product(_name(names[i], names[j], problem), (i, j), (a, b)))
    return tuple(found)


def _pairs(problem: Problem, samples, tolerance: float, known: set[frozenset[int]]) -> Iterator[Pair]:
    """Laws of two leaves entry by entry, and of their norms, where no finer law gives them."""
    names = _tree.paths(problem.parameters)
    group = list(range(len(names)))  # leaves whose norms are tied by the laws so far

    def tie(i: int, j: int) -> None:
        group[:] = [group[i] if g == group[j] else g for g in group]

    for i, j in map(sorted, known):
        tie(i, j)
    for quantity in _QUANTITIES:
        for i, j in itertools.combinations(range(len(names)), 2):
            if frozenset((i, j)) in known or (quantity == "norms" and group[i] == group[j]):
                continue
            if all(_holds(quantity, x, g, i, j, tolerance) for x, g in samples):
                known.add(frozenset((i, j)))
                if quantity != "product":
                    tie(i, j)
                yield Pair(f"{names[i]}·{names[j]}", (i, j), quantity)


_QUANTITIES: tuple[Literal["squares", "product", "norms"], ...] = ("squares", "product", "norms")


def _holds(quantity: str, x, g, i: int, j: int, tolerance: float) -> bool:
    """Is the quantity's rate 0 along the gradient, compared with the terms that it is made of?"""
    if quantity != "norms" and x[i].shape != x[j].shape:
        return False
    if quantity == "product":
        first, second = x[j] * g[i], -x[i] * g[j]
    elif quantity == "squares":
        first, second = x[i] * g[i], x[j] * g[j]
    else:
        first, second = np.sum(x[i] * g[i]), np.sum(x[j] * g[j])
    size = np.linalg.norm(first) + np.linalg.norm(second)
    return bool(np.isfinite(size) and size > 0 and np.linalg.norm(first - second) <= tolerance * size)


_PAPER = {
    frozenset(("W_K", "W_Q")): "key_query",
    frozenset(("K", "Q")): "key_query",
    frozenset(("W", "W_V")): "mlp_value",
    frozenset(("u_hat", "V")): "mlp_value",
}


def _name(first, second, problem):
    plain = f"{first}·{second}"
    return _PAPER.get(frozenset((first, second)), plain) if problem.is_word_problem else plain


def _point_and_gradient(problem, seed):
    """A random point near the start, where no gradient vanishes by accident."""
    leaves, structure = jax.tree.flatten(problem.parameters)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    moved = [x + (0.1 + jnp.std(x)) * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    gradient = _gradient(problem, jax.tree.unflatten(structure, moved))
    return tuple([_tree.to_host(x).astype(np.float64) for x in found] for found in (moved, jax.tree.leaves(gradient)))


@eqx.filter_jit
def _gradient(problem, parameters):
    return jax.grad(problem.risk)(parameters)


def _conserved(x, dx, a, y, dy, b, tolerance):
    left, right = _contract(x, dx, a), _contract(dy, y, b)
    size = max(np.linalg.norm(left), np.linalg.norm(right))
    return bool(np.isfinite(size) and size > 0 and np.linalg.norm(left - right) <= tolerance * size)


def _contract(x, y, axis):
    """M[i, k] = Σ over all other axes of x[i, …] y[k, …]."""
    x, y = (np.moveaxis(z, axis, 0).reshape(z.shape[axis], -1) for z in (x, y))
    return x @ y.T


def drift(law: Law, start: Parameters, end: Parameters) -> Float[Array, ""]:
    """How far a conserved quantity has moved, relative to the size of the terms that it is the difference of."""
    return _drift_of_product(law, start, end) if isinstance(law, Product) else _drift_of_pair(law, start, end)


def _drift_of_pair(law: Pair, start: Parameters, end: Parameters) -> Float[Array, ""]:
    before, after = ([jax.tree.leaves(point)[leaf] for leaf in law.leaves] for point in (start, end))
    if law.quantity == "product":
        change = after[0] * after[1] - before[0] * before[1]
        size = jnp.linalg.norm(after[0]) * jnp.linalg.norm(after[1])
    else:

        def of(pair):
            squares = [x * x for x in pair]
            return squares if law.quantity == "squares" else [jnp.sum(x) for x in squares]

        (a, b), (c, d) = of(after), of(before)
        change, size = (a - b) - (c - d), jnp.linalg.norm(a) + jnp.linalg.norm(b)
    return jnp.linalg.norm(change) / jnp.maximum(size, jnp.finfo(size.dtype).tiny)


def _drift_of_product(product: Product, start: Parameters, end: Parameters) -> Float[Array, ""]:
    """‖C(end) - C(start)‖ over ‖AᵀA‖ + ‖BBᵀ‖ at the end, with C = AᵀA - BBᵀ over the shared axis (Frobenius)."""
    first, second = (
        [_rows(jax.tree.leaves(point)[leaf], axis) for leaf, axis in zip(product.leaves, product.axes, strict=True)]
        for point in (start, end)
    )
    directions = _projection(first[0].shape[0], first[0].dtype)
    # AᵀA - A₀ᵀA₀ is the symmetric part of (A - A₀)ᵀ(A + A₀): one product, and no large terms that cancel.
    moved = jnp.concatenate([second[0] - first[0], first[1] - second[1]], axis=1)
    total = jnp.concatenate([second[0] + first[0], first[1] + second[1]], axis=1)
    change = _symmetric(moved, total, directions)
    size = _size(second[0], directions) + _size(second[1], directions)
    return jnp.linalg.norm(change) / jnp.maximum(size, jnp.finfo(size.dtype).tiny)


def _times(x, y, directions):
    """x yᵀ, in the `directions` that are looked at."""
    return x @ y.T if directions is None else x @ (y.T @ directions)


def _symmetric(x, y, directions):
    """(x yᵀ + y xᵀ)/2."""
    half = _times(x, y, directions) / 2
    return half + (half.T if directions is None else _times(y, x, directions) / 2)


def _size(x, directions):
    """‖x xᵀ‖, from the smaller of the two matrices that have this norm."""
    small = x if directions is not None or x.shape[0] <= x.shape[1] else x.T
    return jnp.linalg.norm(_times(small, small, directions))


def of_words(parameters: Parameters) -> tuple[Product, ...]:
    """The two pairs of the paper's model, by the names of their arrays in full and in reduced coordinates."""
    where = {name: i for i, name in enumerate(_tree.paths(parameters))}
    pairs = (("key_query", "W_K", "W_Q", (0, 0)), ("key_query", "K", "Q", (0, 0)), ("mlp_value", "W", "W_V", (1, 0)),
             ("mlp_value", "u_hat", "V", (0, 0)))  # fmt: skip
    return tuple(
        Product(name, (where[first], where[second]), axes)
        for name, first, second, axes in pairs
        if first in where and second in where
    )


def _rows(x, axis):
    return jnp.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def _projection(size, dtype) -> Float[Array, "size probes"] | None:
    """None for all directions, or for a large shared axis random ones: ‖C Ω‖ estimates ‖C‖ without forming C."""
    if size <= _LARGEST:
        return None
    return jax.random.normal(jax.random.key(0), (size, 64), dtype) / 8
