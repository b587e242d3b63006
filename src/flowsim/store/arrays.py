"""Arrays in safetensors files with a checksum, and pytrees as lists of arrays. No pickle anywhere."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .. import _tree
from .._files import RefusedError, refuse_irregular, write_bytes


def save(path: pathlib.Path, arrays: Mapping[str, np.ndarray], about: Any) -> None:
    """Arrays and a JSON document, in one file with a checksum over both."""
    solid = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    text = json.dumps(about, allow_nan=False)
    metadata = {"about": text, "sha256": _digest(solid, text)}
    write_bytes(path, to_bytes(solid, metadata=metadata))


def load(path: pathlib.Path, remedy: str) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays and the document of `save`.

    **Raises:** `StoreError`, with the remedy, if the file is missing, torn, or not what was written.
    """
    if not path.exists():
        raise RefusedError(f"{path}: is missing: {remedy}")
    refuse_irregular(path)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = file.metadata() or {}
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise RefusedError(f"{path}: cannot be read ({error}); it is damaged: {remedy}") from error
    text = metadata.get("about", "")
    if _digest(arrays, text) != metadata.get("sha256"):
        raise RefusedError(f"{path}: its checksum does not match; it was damaged after it was written: {remedy}")
    return arrays, json.loads(text)


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def says(about: Any, wanted: Mapping[str, Any]) -> bool:
    """Does what a file says of itself hold these entries?"""
    return isinstance(about, dict) and {key: about.get(key) for key in wanted} == wanted


def flatten(tree: PyTree) -> dict[str, np.ndarray]:
    """Every array of a pytree by its position; random keys as their bits."""
    leaves = [x for x in jax.tree.leaves(tree) if _tree.is_array(x)]
    return {f"{i:04d}": _tree.to_host(leaf) for i, leaf in enumerate(leaves)}


def unflatten(arrays: Mapping[str, np.ndarray], like: PyTree, path: pathlib.Path) -> PyTree:
    """The pytree of `like`'s structure with the stored arrays in it, on the devices on which its arrays are.

    **Raises:** `StoreError` if number, shapes or dtypes differ.
    """
    leaves, structure = jax.tree.flatten(like)
    where = [i for i, x in enumerate(leaves) if isinstance(x, jax.Array | np.ndarray | jax.ShapeDtypeStruct)]
    stored = [arrays[name] for name in sorted(arrays)]
    same = len(stored) == len(where) and all(
        a.shape == leaves[i].shape and a.dtype == leaves[i].dtype for a, i in zip(stored, where, strict=True)
    )
    if not same:
        raise RefusedError(f"{path}: holds the state of another experiment or of another version of flowsim")
    for array, i in zip(stored, where, strict=True):
        leaves[i] = _placed(array, leaves[i])
    return jax.tree.unflatten(structure, leaves)


def _placed(array: np.ndarray, like: Any) -> jax.Array:
    """On the devices of another array, where those are several."""
    spread = isinstance(like, jax.Array) and len(like.sharding.device_set) > 1
    return jax.device_put(array, like.sharding) if spread else jnp.asarray(array)
