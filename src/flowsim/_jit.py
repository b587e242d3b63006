"""Compilation of programs that run a few times."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax

P = ParamSpec("P")
T = TypeVar("T")
# XLA's own levels; on a CPU they halve the time to compile, and leave matrix products, which are library calls, alone.
_LIGHT = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def light(function: Callable[P, T]) -> Callable[P, T]:
    """`eqx.filter_jit` for a program that runs a few times in a run: compiled quickly rather than well.

    It must not be called inside another compiled function. On accelerators it is `eqx.filter_jit`.
    """
    quickly: Any = eqx.filter_jit(function, compiler_options=_LIGHT)  # pyright: ignore[reportCallIssue]
    well: Any = eqx.filter_jit(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return (quickly if jax.default_backend() == "cpu" else well)(*args, **kwargs)

    return call
