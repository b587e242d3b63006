"""What an argument must be: the checks that several entry points share, each one sentence with the remedy.

An argument that cannot be meant raises `TypeError` (it is of another kind) or `ValueError` (its value is not allowed).
"""

import contextlib
import difflib
import functools
import math
import types
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

T = TypeVar("T")


def described(value: Any) -> str:
    """A value as an error message shows it: never an array dump.

    `'abc'`, `3`, `a float64 array of shape (3, 2)`, `a function`, `a Task`.
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {value.dtype} array of shape {tuple(value.shape)}" if value.shape else f"a {value.dtype} scalar"
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value) and hasattr(value, "__name__"):
        return "a function"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def instance(value: Any, kind: type[T], must: str, remedy: str = "") -> T:
    """A value of a kind. **Raises:** `TypeError`: what it `must` be, what was given, and the `remedy`."""
    if not isinstance(value, kind):
        raise TypeError(f"{must}, got {described(value)}{': ' if remedy else ''}{remedy}.")
    return value


def choice(what: str, word: Any, known: Iterable[str], *, more: str = "") -> str:
    """A word that is one of the known ones.

    **Raises:** `ValueError` that lists them, with what may have been meant; `TypeError` if it is no string.
    """
    known = tuple(known)
    instance(word, str, f"{what} must be one of {', '.join(known)}{more}")
    if word not in known:
        near = difflib.get_close_matches(word.lower(), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown {what} {word!r}; known are {', '.join(known)}{more}{hint}")
    return word


def positive(what: str, value: Any) -> float:
    """A finite real number > 0, as a float. **Raises:** `TypeError`, `ValueError`."""
    number = real(what, value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{what} must be > 0 and finite, got {number:g}.")
    return number


def real(what: str, value: Any) -> float:
    """A real number, as a float. **Raises:** `TypeError` for anything else, a string or a boolean among them."""
    if isinstance(value, bool | str) or value is None:
        raise TypeError(f"{what} must be a number, got {described(value)}.")
    not_traced(what, value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be a number, got {described(value)}.") from None


def numbers(what: str, values: Any) -> np.ndarray:
    """Real numbers, as a float64 array of one axis. **Raises:** `TypeError` for anything else."""
    not_traced(what, values)
    try:
        return np.asarray(values, np.float64).ravel()
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be numbers, got {described(values)}.") from None


def count(what: str, value: Any, *, least: int = 1) -> int:
    """A whole number that is at least `least`; `10.0` is one. **Raises:** `TypeError`, `ValueError`."""
    number = real(what, value)
    if not (math.isfinite(number) and number == int(number) and number >= least):
        raise ValueError(f"{what} must be a whole number >= {least}, got {number:g}.")
    return int(number)


def key(value: Any) -> Any:
    """A JAX random key, of the new or of the old style. **Raises:** `TypeError` for anything else, such as an int."""
    dtype = getattr(value, "dtype", None)
    old = dtype == np.uint32 and getattr(value, "shape", ()) == (2,)
    if dtype is None or not (old or jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)):
        example = f"jax.random.key({value})" if isinstance(value, int) else "jax.random.key(0)"
        raise TypeError(f"key must be a JAX random key, got {described(value)}: write {example}.")
    return value


def is_traced(tree: Any) -> bool:
    """Does a pytree hold values that exist only inside a JAX transformation?"""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def not_traced(what: str, tree: Any) -> None:
    """Neither a pytree nor what its functions close over.

    **Raises:** `TypeError` inside `jax.grad`, `jax.jit` or `jax.vmap`, naming what to use instead.
    """
    seen: set[int] = set()

    def reaches(leaf: Any) -> bool:
        if not callable(leaf) or id(leaf) in seen:
            return isinstance(leaf, jax.core.Tracer)
        seen.add(id(leaf))
        return any(map(reaches, jax.tree.leaves(list(_held(leaf)))))

    if any(map(reaches, jax.tree.leaves(tree))):
        raise TypeError(
            f"{what} is a traced value: flowsim.simulate steps on the host and cannot be called inside jax.grad, "
            "jax.jit or jax.vmap. For derivatives use flowsim.sensitivity, for many runs flowsim.ensemble."
        )


def _held(function: Any) -> Iterator[Any]:
    """What a function closes over; of a partial one, a method or a wrapper what it is made of."""
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # it is not filled yet
            yield cell.cell_contents
    yield getattr(function, "__defaults__", None), getattr(function, "__wrapped__", None)
    if isinstance(function, functools.partial):
        yield function.func, function.args, function.keywords
    if isinstance(function, types.MethodType):
        yield function.__func__, function.__self__
