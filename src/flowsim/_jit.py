"""Compilation of programs whose running time is small beside the time to compile them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax

P = ParamSpec("P")
T = TypeVar("T")
# XLA's own levels, and its older emitter of fused loops, which is four times as fast as the newer one. Together they
# divide the time to compile by three to four, and multiply that of loops by two; matrix products are library calls.
_LEVELS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
OLDER_EMITTER = {"xla_cpu_use_fusion_emitters": False}


def fast_compile(function: Callable[P, T]) -> Callable[P, T]:
    """`eqx.filter_jit` for a program that runs a few times: compiled quickly rather than well, on a CPU.

    Inside another compiled function it is a part of that one.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        inside = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((args, kwargs)))
        return function(*args, **kwargs) if inside else _chosen(function)(*args, **kwargs)

    return call


@functools.cache
def _chosen(function: Callable[P, T]) -> Callable[P, T]:
    return eqx.filter_jit(function, **_options())


@functools.cache
def _options() -> dict[str, Any]:
    """What this version of XLA knows of the options above; it refuses names that it does not know."""
    if jax.default_backend() != "cpu":
        return {}
    for options in (_LEVELS | OLDER_EMITTER, _LEVELS):
        if known(options):
            return {"compiler_options": options}
    return {}


def known(options: Mapping[str, Any]) -> bool:
    """Does this version of XLA know these options?"""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options))()
    except Exception:  # of a type that differs between versions
        return False
    return True
