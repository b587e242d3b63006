"""Fresh draws for any model."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, PyTree

from .. import _checks
from .._types import Key
from ..models import trained


def as_made() -> Callable[..., PyTree]:
    """The model as it is: what it drew itself when it was made."""

    def initialize(model: PyTree, *, key: Key | None = None) -> PyTree:
        del key  # nothing is drawn
        return model

    return initialize


def redraw_matrices(model: PyTree, key: Key, draw: Callable[[Key, tuple[int, ...], int], Array]) -> PyTree:
    """Every trained matrix drawn anew by `draw(key, shape, fan_in)`, fan_in its last axis; vectors stay as they are."""
    trained, rest = split(model)
    leaves, structure = jax.tree.flatten(trained)
    keys = jax.random.split(_checks.key(key), len(leaves))
    drawn = [x if x.ndim < 2 else draw(k, x.shape, x.shape[-1]) for k, x in zip(keys, leaves, strict=True)]
    drawn = [y.astype(x.dtype) for x, y in zip(leaves, drawn, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, drawn), rest)


def split(model: PyTree) -> tuple[PyTree, PyTree]:
    """What is trained of a model, and the rest."""
    return eqx.partition(model, trained(model))
