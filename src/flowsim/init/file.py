"""Weights from a file."""

import os
import pathlib

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._types import Key
from ..models import CooccurrenceTransformer
from .draws import Initializer

NAMES = ("W", "W_V", "W_K", "W_Q", "a")


def from_file(path: str | os.PathLike) -> Initializer:
    """Weights `W`, `W_V`, `W_K`, `W_Q`, `a` from an `.npz` or `.safetensors` file. Pickled objects are refused.

    **Raises:** `ValueError` if a name is missing or a shape is not the model's.
    """
    weights = _read(pathlib.Path(path))
    missing = [name for name in NAMES if name not in weights]
    if missing:
        raise ValueError(f"{path}: {', '.join(missing)} missing; it must hold {', '.join(NAMES)}.")
    return from_arrays(**{name: weights[name] for name in NAMES})


def from_arrays(*, W, W_V, W_K, W_Q, a) -> Initializer:
    """The given weights, in the shapes (neurons, width), (width, vocabulary) three times, and (neurons,)."""
    weights = dict(zip(NAMES, (W, W_V, W_K, W_Q, a), strict=True))

    def initialize(model: CooccurrenceTransformer, *, key: Key | None = None) -> CooccurrenceTransformer:
        del key  # nothing is drawn
        for name, value in weights.items():
            expected = getattr(model, name).shape
            if np.shape(value) != expected:
                raise ValueError(f"{name} has shape {np.shape(value)}, but the model's is {expected}.")
        arrays = tuple(jnp.asarray(weights[name], getattr(model, name).dtype) for name in NAMES)
        return eqx.tree_at(lambda m: tuple(getattr(m, name) for name in NAMES), model, arrays)

    return initialize


def _read(path):
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file  # not needed by those who draw their weights

        return load_file(path)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
