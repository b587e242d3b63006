"""Flax modules: what they learn becomes the parameters of a flow."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


class Adapted(eqx.Module):
    """A model whose parameters are a nested dictionary of arrays, by the names that its library gives them.

    **Fields:** `parameters`; `function`: `(parameters, example) -> prediction`.
    """

    parameters: PyTree[Array]
    function: Callable[[PyTree, Any], Array] = eqx.field(static=True)

    def __call__(self, example: Any) -> Array:
        return self.function(self.parameters, example)


def nnx(module: Any, *, dtype: Any = None) -> Adapted:
    """A Flax NNX module of one example as a model.

    Its `nnx.Param`s move. Dropout and the like are switched off, as by `module.eval()`, on a copy: a gradient flow
    needs a risk that is a function of the parameters.

    **Arguments:** `module`: a `flax.nnx.Module`; `dtype`: of the parameters, e.g. `jnp.float64`, if not the module's.

    **Raises:** `ValueError` if it keeps other state, such as running averages; `ImportError` without Flax.
    """
    from flax import nnx as library

    copy = library.clone(module)
    copy.eval()
    graph, learned, rest = library.split(copy, library.Param, ...)
    kept = [value for _, value in library.to_flat_state(rest)]
    other = {type(value).__name__ for value in kept if not isinstance(value, library.RngState)}
    if other:
        raise ValueError(
            f"the module keeps {', '.join(sorted(other))}, so its risk is not a function of its parameters alone: use "
            "layers without running state, such as LayerNorm for BatchNorm."
        )

    def function(parameters: PyTree, example: Any) -> Array:
        state = jax.tree.map(lambda leaf: leaf, learned)  # a copy, to be filled
        library.replace_by_pure_dict(state, parameters)
        return library.merge(graph, state, rest)(example)

    return Adapted(_cast(library.to_pure_dict(learned), dtype), function)


def linen(module: Any, variables: Any, *, dtype: Any = None, **options: Any) -> Adapted:
    """A Flax Linen module of one example as a model.

    **Arguments:** `module`: a `flax.linen.Module`; `variables`: what `module.init` gave; `dtype`: of the parameters, if
    not theirs; `options`: given to `module.apply` in each call, such as `train=False`.

    **Raises:** `ValueError` if `variables` holds more than `params`.
    """
    other = sorted(set(variables) - {"params"})
    if other or "params" not in variables:
        raise ValueError(
            f"variables must hold params and nothing else, got {', '.join(sorted(variables)) or 'nothing'}: with "
            "running state the risk is not a function of the parameters alone."
        )

    def function(parameters: PyTree, example: Any) -> Array:
        return module.apply({"params": parameters}, example, **options)

    return Adapted(_cast(dict(variables["params"]), dtype), function)


def _cast(parameters: PyTree, dtype: Any) -> PyTree[Array]:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parameters)
