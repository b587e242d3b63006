"""Compilation of programs whose running time is small beside the time to compile them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax

P = ParamSpec("P")
T = TypeVar("T")
# XLA's older emitter of fused loops is four times as fast as the newer one, whose loops of tanh and the like take half
# the time. Matrix products are library calls.
_FEWER_PASSES = {"xla_llvm_disable_expensive_passes": True}
OLDER_EMITTER = {"xla_cpu_use_fusion_emitters": False}


def fast_compile(function: Callable[P, T]) -> Callable[P, T]:
    """`eqx.filter_jit` for a program that runs a few times: compiled quickly rather than well, on a CPU.

    To compile takes a sixth to a third of the time, and loops take two to four times as long. Inside another compiled
    function it is a part of that one.
    """
    return _with_level(function, 0)


def prompt_compile(function: Callable[P, T]) -> Callable[P, T]:
    """The same for a program that may run for seconds: half the time to compile, and loops take at most 1.8 times."""
    return _with_level(function, 1)


def _with_level(function: Callable[P, T], level: int) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        inside = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((args, kwargs)))
        own = 0 if jax.config.read("jax_disable_most_optimizations") else level  # a user who wants that gets it
        return function(*args, **kwargs) if inside else _chosen(function, own)(*args, **kwargs)

    return call


@functools.cache
def _chosen(function: Callable[P, T], level: int) -> Callable[P, T]:
    return eqx.filter_jit(function, **_options(level))


@functools.cache
def _options(level: int) -> dict[str, Any]:
    """What this version of XLA knows of the options above; it refuses names that it does not know."""
    if jax.default_backend() != "cpu":
        return {}
    levels = _FEWER_PASSES | {"xla_backend_optimization_level": level}
    for options in (levels | OLDER_EMITTER, levels):
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
