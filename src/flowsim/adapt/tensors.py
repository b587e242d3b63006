"""Named tensors of PyTorch or Hugging Face, placed into a `models.Transformer`."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from .._tree import paths
from ..models import Transformer


@dataclasses.dataclass(frozen=True)
class Part:
    """A tensor, or some of its rows or columns, perhaps transposed.

    Libraries pack several matrices into one: of GPT-2's `c_attn` (width, 3 width), `Part(name, columns=(0, 64),
    transposed=True)` is the first head's W_Q. PyTorch's `Linear` stores (outputs, inputs), as flowsim does; GPT-2's
    `Conv1D` stores (inputs, outputs).

    **Fields:** `name` in the file; `rows`, `columns`: (first, behind the last), None for all; `transposed`: after that.
    """

    name: str
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    transposed: bool = False

    def of(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        tensor = tensors[self.name]
        tensor = tensor if self.rows is None else tensor[slice(*self.rows)]
        tensor = tensor if self.columns is None else tensor[:, slice(*self.columns)]
        return tensor.T if self.transposed else tensor


def transformer(
    model: Transformer,
    tensors: Mapping[str, Any] | str | os.PathLike,
    names: Mapping[str, str | Part],
    *,
    ignore: Iterable[str] = (),
) -> Transformer:
    """The transformer with the tensors of a state dict for its arrays.

    **Arguments:** `model`: of the sizes that the tensors have; `tensors`: name -> array, or a `.safetensors` file;
    `names`: for each array of the model, by its path (`blocks.0.heads.1.W_Q`), the tensor's name or a `Part` of it;
    `ignore`: tensors that the model has no place for, left out knowingly (biases are not modelled).

    **Returns:** the model; arrays keep its dtype.

    **Raises:** `ValueError`, with all that is wrong: an array without a name, a name that is not there, a shape that
    does not fit, a tensor that is neither used nor ignored. Nothing is dropped in silence.
    """
    given = _read(tensors) if isinstance(tensors, str | os.PathLike) else {k: _array(v) for k, v in tensors.items()}
    parts = {path: part if isinstance(part, Part) else Part(part) for path, part in names.items()}
    arrays, known = eqx.partition(model, eqx.is_array)
    places = dict(zip(paths(arrays), _leaves(arrays), strict=True))
    problems = [f"{path} is not an array of the model" for path in parts if path not in places]
    problems += [f"nothing is named for {path}" for path in places if path not in parts]
    problems += [f"{p.name} is not among the tensors" for p in parts.values() if p.name not in given]
    left = sorted(set(given) - {part.name for part in parts.values()} - set(ignore))
    problems += [f"{name} is neither used nor ignored" for name in left]
    found = {path: parts[path].of(given) for path in places if path in parts and parts[path].name in given}
    problems += [
        f"{path} has shape {places[path].shape}, {parts[path].name} gives {value.shape}"
        for path, value in found.items()
        if value.shape != places[path].shape
    ]
    if problems:
        raise ValueError("; ".join(problems) + ".")
    values = [jnp.asarray(found[path], leaf.dtype) for path, leaf in places.items()]
    return eqx.combine(eqx.tree_at(_leaves, arrays, values), known)


def _leaves(tree: Any) -> list:
    return jax.tree.leaves(tree)


def _array(value: Any) -> np.ndarray:
    """NumPy, JAX, or a PyTorch tensor, which may stand on a device, want its gradient, or be a bfloat16."""
    detach = getattr(value, "detach", None)
    if detach is None:
        return np.asarray(value)
    tensor = detach().cpu()
    # NumPy has no bfloat16; in float32 every one of them is exact.
    return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    try:
        with safe_open(pathlib.Path(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}.") from error
