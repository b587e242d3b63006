"""Parameters by name, one array or all that are below a name."""

from collections.abc import Callable, Mapping, Sequence

import jax
from jaxtyping import PyTree

from .. import _tree
from .._types import Any, Parameters


def weights(parameters: Parameters, values: Mapping[str, float], *, other: float = 1.0) -> list[float]:
    """A number for every leaf, in flattening order: that of the longest name that fits its path, else `other`.

    **Raises:** `ValueError` for a name that fits no leaf.
    """
    paths = _tree.paths(parameters)
    for name in values:
        if not any(_fits(name, path) for path in paths):
            raise ValueError(f"no trained parameter is named {name!r}; they are {', '.join(paths)}.")
    best = [max((name for name in values if _fits(name, path)), key=len, default=None) for path in paths]
    return [other if name is None else values[name] for name in best]


def listed(names: Sequence[str] | str) -> tuple[str, ...]:
    """Several names; one alone stands for a list of one."""
    return (names,) if isinstance(names, str) else tuple(names)


def by_leaf(function: Callable, numbers: list[Any], *trees: PyTree) -> PyTree:
    """`function(number, leaf, …)` for every leaf."""
    structure = jax.tree.structure(trees[0])
    rows = zip(numbers, *(jax.tree.leaves(tree) for tree in trees), strict=True)
    return jax.tree.unflatten(structure, [function(*row) for row in rows])


def _fits(name: str, path: str) -> bool:
    return path == name or path.startswith(f"{name}.")
