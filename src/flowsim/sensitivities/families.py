"""Families that experiment files name: the start's scale, samples' weights, random directions."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key
from ..probes import numbers
from ..problem import Problem
from .family import Family

Epsilon = Float[Array, "directions"]


def scaled(problem: Problem, names: Sequence[str]) -> Family:
    """The start of the named arrays (or blocks) multiplied by 1 + ε: derivatives by the logarithm of their scale.

    **Raises:** `ValueError` for a name that fits no trained array.
    """
    chosen = {i for name in names for i in numbers(problem.parameters, name)}
    leaves, structure = jax.tree.flatten(problem.parameters)

    def family(eps: Epsilon) -> Problem:
        moved = [(1 + eps[0]) * x if i in chosen else x for i, x in enumerate(leaves)]
        return started(problem, structure.unflatten(moved))

    return family


def weighted(problem: Problem, samples: Sequence[int]) -> Family:
    """The weights of these samples plus ε, one direction for each.

    **Raises:** `ValueError` for a problem without samples, or a sample that there is not.
    """
    count = problem.samples.samples
    outside = [i for i in samples if not 0 <= i < count]
    if outside:
        raise ValueError(f"there is no sample {outside[0]}: they are 0 to {count - 1}.")
    rows = jnp.asarray(list(samples))

    def family(eps: Epsilon) -> Problem:
        weights = jnp.ones(count, eps.dtype) if problem.weights is None else problem.weights
        changed = weights.at[rows].add(eps.astype(weights.dtype))
        return eqx.tree_at(lambda p: p.weights, problem, changed, is_leaf=lambda x: x is None)

    return family


def displaced(problem: Problem, count: int, key: Key) -> Family:
    """The start plus Σ ε_k u_k with random unit vectors u_k."""
    flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
    units = jax.random.normal(key, (count, flat.size), flat.dtype)
    units = units / jnp.linalg.norm(units, axis=1, keepdims=True)

    def family(eps: Epsilon) -> Problem:
        return started(problem, unravel(flat + eps.astype(flat.dtype) @ units))

    return family


def started(problem: Problem, parameters) -> Problem:
    """The problem from another start."""
    return eqx.tree_at(lambda p: p.parameters, problem, parameters)
