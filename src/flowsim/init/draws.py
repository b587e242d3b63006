"""Independent entries: Gaussian and Kaiming, and the scales of the theory."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from .. import _checks
from .._types import Key, Scalar
from ..models import AbstractWordModel, CooccurrenceTransformer, FactoredTransformer, InfiniteWidthTransformer, traits
from .any import redraw_matrices
from .law import draw_factors, draw_limit

Initializer = Callable[..., Any]  # (model, *, key) -> model


def gaussian(*, sigma0: float | Scalar, sigma1: float | Scalar) -> Initializer:
    """W_ij ~ N(0, σ1²); W_V, W_K, W_Q ~ N(0, σ0²) (Condition 1).

    A model of `FactoredTransformer.of_size` gets coordinates that are equal in law to those of such matrices.

    **Arguments:** `sigma0`, `sigma1`: standard deviations, at least 0.

    **Returns:** a function `(model, *, key) -> model`; `a` stays as it is.
    """
    for name, sigma in (("sigma0", sigma0), ("sigma1", sigma1)):
        if not _checks.is_traced(sigma) and not _checks.real(name, sigma) >= 0:  # traced: a derivative's parameter
            raise ValueError(f"{name} must be >= 0, got {sigma}.")

    def initialize(model: AbstractWordModel, *, key: Key) -> AbstractWordModel:
        return _normal(model, key, lambda name: sigma1 if name == "W" else sigma0)

    return initialize


def theory(*, length: int, c0: float = 0.25, c1: float = 0.25) -> Initializer:
    """Condition 1 of the paper with its constants: σ0 = c0/√(L m), σ1 = c1/√m1, Gaussian.

    **Arguments:** `length`: L of the task. `c0`, `c1`: the constants that the paper's Θ̃ hides.
    """

    def initialize(model: Any, *, key: Key) -> AbstractWordModel:
        if traits(model).limit:
            return draw_limit(model, length=length, c0=c0, c1=c1, key=key)
        sigma0 = c0 / math.sqrt(length * model.width)
        return gaussian(sigma0=sigma0, sigma1=c1 / math.sqrt(model.neurons))(model, key=key)

    return initialize


def kaiming_uniform() -> Initializer:
    """U(±1/√fan_in), as PyTorch draws its linear layers; fan_in is d for W_V, W_K, W_Q and m for W.

    Of any other model every trained matrix is drawn so, with fan_in its last axis.
    """

    def initialize(model: PyTree, *, key: Key) -> PyTree:
        match model:
            case CooccurrenceTransformer():
                return _redraw(model, key, _symmetric, lambda name: 1 / math.sqrt(_fan_in(model, name)))
            case AbstractWordModel():
                raise ValueError(
                    "a width whose matrices are never formed needs a Gaussian init: gaussian, kaiming_normal or "
                    "theory; the law of uniform entries is not known in its coordinates."
                )
            case _:
                return redraw_matrices(model, key, lambda k, shape, fan_in: _symmetric(k, shape) / math.sqrt(fan_in))

    return initialize


def kaiming_normal() -> Initializer:
    """N(0, 2/fan_in); fan_in is d for W_V, W_K, W_Q and m for W. Other models as with `kaiming_uniform`.

    **Reference:** He, Zhang, Ren, Sun (2015), Delving deep into rectifiers, Equation 10.
    """

    def initialize(model: PyTree, *, key: Key) -> PyTree:
        if not traits(model).words:
            return redraw_matrices(
                model, key, lambda k, shape, fan_in: math.sqrt(2 / fan_in) * jax.random.normal(k, shape)
            )
        return _normal(model, key, lambda name: math.sqrt(2 / _fan_in(model, name)))

    return initialize


def _symmetric(key, shape, dtype=None):
    return jax.random.uniform(key, shape, dtype, minval=-1.0, maxval=1.0)


def _fan_in(model, name):
    return model.width if name == "W" else model.vocabulary


def _normal(model, key, scale_of):
    match model:
        case CooccurrenceTransformer():
            return _redraw(model, key, jax.random.normal, scale_of)
        case FactoredTransformer():
            return draw_factors(model, sigma0=scale_of("W_V"), sigma1=scale_of("W"), key=_checks.key(key))
        case InfiniteWidthTransformer():
            raise ValueError("the limit of infinite width needs scales that fall with the width: use init.theory.")
        case _:
            raise ValueError(
                f"gaussian draws the W, W_V, W_K, W_Q of CooccurrenceTransformer, which {type(model).__name__} lacks: "
                "use kaiming_uniform, kaiming_normal, or a function (model, *, key) -> model of your own."
            )


def _redraw(model, key, draw, scale_of):
    def where(m):
        return (m.W, m.W_V, m.W_K, m.W_Q)

    scales = tuple(scale_of(name) for name in ("W", "W_V", "W_K", "W_Q"))
    return eqx.tree_at(
        where, model, _matrices(_checks.key(key), tuple(x.shape for x in where(model)), model.W.dtype, scales, draw)
    )


@functools.partial(jax.jit, static_argnames=("shapes", "dtype", "draw"))
def _matrices(key, shapes, dtype, scales, draw):
    """One program: drawing them one by one compiles a dozen."""
    keys = jax.random.split(key, len(shapes))
    return tuple(scale * draw(k, shape, dtype) for k, shape, scale in zip(keys, shapes, scales, strict=True))
