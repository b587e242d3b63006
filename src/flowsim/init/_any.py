"""Fresh draws for any model."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, PyTree

from .._types import Key
from ..models import AbstractModel


def redraw_matrices(model: PyTree, key: Key, draw: Callable[[Key, tuple[int, ...], int], Array]) -> PyTree:
    """Every trained matrix drawn anew by `draw(key, shape, fan_in)`, fan_in its last axis; vectors stay as they are."""
    trainable = model.trainable() if isinstance(model, AbstractModel) else eqx.is_inexact_array
    trained, rest = eqx.partition(model, trainable)
    leaves, structure = jax.tree.flatten(trained)
    keys = jax.random.split(key, len(leaves))
    drawn = [x if x.ndim < 2 else draw(k, x.shape, x.shape[-1]) for k, x in zip(keys, leaves, strict=True)]
    drawn = [y.astype(x.dtype) for x, y in zip(leaves, drawn, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, drawn), rest)
