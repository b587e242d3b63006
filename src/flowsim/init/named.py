"""Weights by name."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import _tree
from .draws import Initializer


def from_named(arrays: Mapping[str, np.ndarray], source: str = "the arrays") -> Initializer:
    """Every trained array of any model from the array of its name, as a run folder keeps them.

    **Arguments:** `arrays`: by path in the model, `W_K` or `layers.0.weight`; `source`: named in messages.

    **Raises:** `ValueError`, when it is called, if a name or a shape is not the model's.
    """

    def start(model: PyTree, *, key: Any) -> PyTree:
        names, (leaves, structure) = _tree.paths(model), jax.tree.flatten(model)
        wanted = {n: x for n, x in zip(names, leaves, strict=True) if _tree.is_array(x)}
        unknown = sorted(set(arrays) - set(wanted))
        if unknown:
            raise ValueError(
                f"{source} holds {', '.join(unknown)}, which the model has not; it has {', '.join(wanted)}."
            )
        for name, array in arrays.items():
            if array.shape != wanted[name].shape:
                raise ValueError(f"{source}: {name} has shape {array.shape}, but the model's has {wanted[name].shape}.")
        found = [jnp.asarray(arrays[n], x.dtype) if n in arrays else x for n, x in zip(names, leaves, strict=True)]
        return jax.tree.unflatten(structure, found)

    return start
