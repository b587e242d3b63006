"""Linear algebra on pytrees of arrays, and the names of their leaves."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Float, PyTree


def is_array(x: Any) -> bool:
    """Is it an array of JAX or NumPy?"""
    return isinstance(x, jax.Array | np.ndarray)


def to_host(x: Any) -> np.ndarray:
    """An array in this process's memory, wherever it lies.

    Where it is spread over the devices of several processes, all of them have to ask for it, in the same order.
    """
    if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))
    return np.asarray(x)


def on_host(tree: PyTree) -> PyTree:
    """`to_host` of every array of a pytree."""
    return jax.tree.map(to_host, tree)


def dot(x: PyTree, y: PyTree) -> Float[Array, ""]:
    """Euclidean inner product Σ x_i y_i over all leaves."""
    products = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.sum(a * b), x, y))
    # A float32 tree has a float32 product, also where x64 is on.
    return functools.reduce(jnp.add, products)


def norm(x: PyTree) -> Float[Array, ""]:
    """Euclidean norm over all leaves."""
    return jnp.sqrt(dot(x, x))


def rms(x: PyTree) -> Float[Array, ""]:
    """Root mean square over all entries of all leaves; the norm in which tolerances are stated."""
    return jnp.sqrt(dot(x, x) / max(size(x), 1))


def scale(c: Float[Array, ""] | float, x: PyTree) -> PyTree:
    """c · x."""
    return jax.tree.map(lambda a: c * a, x)


def add(x: PyTree, y: PyTree) -> PyTree:
    """x + y."""
    return jax.tree.map(jnp.add, x, y)


def subtract(x: PyTree, y: PyTree) -> PyTree:
    """x - y."""
    return jax.tree.map(jnp.subtract, x, y)


def size(x: PyTree) -> int:
    """Number of entries in all leaves together."""
    return sum(int(np.prod(jnp.shape(leaf))) for leaf in jax.tree.leaves(x))


def dtype(x: PyTree) -> jnp.dtype:
    """The common dtype of all leaves."""
    return jnp.result_type(*jax.tree.leaves(x))


def shapes(x: PyTree) -> Any:
    """The structure of a pytree and the shapes of its leaves."""
    return jax.tree.structure(x), [jnp.shape(leaf) for leaf in jax.tree.leaves(x)]


def signature(x: PyTree) -> Any:
    """What two pytrees share that differ in nothing but the numbers in their arrays; for use as a key of a dictionary.

    **Raises:** `TypeError` for a pytree with leaves that cannot be hashed.
    """
    leaves, structure = jax.tree.flatten(x)
    kinds = tuple((leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else leaf for leaf in leaves)
    hash((structure, kinds))
    return structure, kinds


class Seen:
    """Pytrees that have passed a check that asks for nothing but their `signature`."""

    def __init__(self, most: int = 64):
        self._known: dict[Any, None] = {}
        self._most = most

    def check(self, tree: PyTree, check: Callable[[], Any]) -> None:
        """Run `check` unless a pytree of this signature has passed it."""
        try:
            key = signature(tree)
        except TypeError:
            check()
            return
        if key not in self._known:
            check()
            if len(self._known) >= self._most:
                self._known.pop(next(iter(self._known)))
            self._known[key] = None


def paths(x: PyTree) -> list[str]:
    """A readable name for every leaf, in flattening order: `W_K`, `layers.0.weight`, `params.b`."""
    return [
        jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree_util.tree_leaves_with_path(x)
    ]
