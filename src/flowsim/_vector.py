"""The arrays of a pytree joined to one vector."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ._jit import fast_compile


class Vector(eqx.Module):
    """The arrays of a pytree, of one dtype, joined to one vector.

    **Fields:** `entries`: their numbers, array after array; `structure`, `shapes`: of the pytree.
    """

    entries: Float[Array, "entries"]
    structure: Any = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, tree: PyTree) -> "Vector":
        """Join."""
        leaves, structure = jax.tree.flatten(tree)
        return cls(jnp.concatenate([jnp.ravel(x) for x in leaves]), structure, tuple(jnp.shape(x) for x in leaves))

    def split(self) -> PyTree:
        """The pytree."""
        return jax.tree.unflatten(self.structure, _pieces(self.entries, self.shapes))

    def mean_squares(self) -> Float[Array, "arrays"]:
        """Of every array, in an order of their own. Arrays of one size are looked at together: less to compile."""
        sizes = np.array([math.prod(shape) for shape in self.shapes])
        starts = np.cumsum(sizes) - sizes
        found = []
        for size in np.unique(sizes[sizes > 0]).tolist():
            rows = jax.vmap(lambda start, n=size: jax.lax.dynamic_slice_in_dim(self.entries, start, n))
            found.append(jnp.mean(rows(jnp.asarray(starts[sizes == size])) ** 2, axis=1))
        return jnp.concatenate(found)


@fast_compile
def _pieces(entries: Float[Array, "entries"], shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    pieces = jnp.split(entries, ends[:-1].tolist())
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
