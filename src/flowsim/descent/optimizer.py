"""Optax's optimizers by name."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import PyTree

Optimizer = optax.GradientTransformation


class _Kind(NamedTuple):
    """An optimizer by its name.

    **Fields:** `equivariant`: are its steps the same in all orthonormal coordinates, so that they stay in the subspace
    of an exact reduction? Those of plain gradient descent and of momentum are; one that scales weight by weight is not.
    """

    make: Callable[..., Optimizer]
    equivariant: bool = False


_OPTIMIZERS = {
    "sgd": _Kind(optax.sgd, equivariant=True),
    "adam": _Kind(optax.adam),
    "adamw": _Kind(optax.adamw),
    "adagrad": _Kind(optax.adagrad),
    "rmsprop": _Kind(optax.rmsprop),
}


def equivariant(kind: str) -> bool:
    """Are the steps of the optimizer of this name the same in all orthonormal coordinates?"""
    return _known(kind).equivariant


def optimizer(kind: str, learning_rate: float, **options: float) -> Optimizer:
    """An Optax optimizer by its name.

    The learning rate is a part of the optimizer's state, so that runs of several rates share one compiled program.

    **Raises:** `ValueError` for a name that is not known.
    """
    _known(kind)
    base = _adjustable(kind, tuple(sorted(options.items())))

    def init(params: PyTree) -> PyTree:  # Optax's name for it
        state: Any = base.init(params)
        rate = jnp.asarray(learning_rate, state.hyperparams["learning_rate"].dtype)
        return state._replace(hyperparams={**state.hyperparams, "learning_rate": rate})

    return optax.GradientTransformation(init, base.update)


def _known(kind: str) -> _Kind:
    if kind not in _OPTIMIZERS:
        raise ValueError(f"unknown optimizer {kind!r}; known are {', '.join(_OPTIMIZERS)}.")
    return _OPTIMIZERS[kind]


@functools.cache
def _adjustable(kind: str, options: tuple[tuple[str, float], ...]) -> Optimizer:
    return optax.inject_hyperparams(_OPTIMIZERS[kind].make)(learning_rate=1.0, **dict(options))
