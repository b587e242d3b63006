"""Initializers made of other initializers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Key, Scalar
from ..models import AbstractWordModel, ScaledOutput, traits
from .any import split
from .draws import Initializer


def scale(base: Initializer, factor: float | Scalar) -> Initializer:
    """`base` with every trained weight multiplied by `factor` > 0."""
    if not _checks.is_traced(factor):  # traced: a derivative's parameter
        _checks.positive("factor", factor)

    def initialize(model, *, key: Key):
        model = base(model, key=key)
        trained, rest = split(model)
        return eqx.combine(jax.tree.map(lambda x: factor * x, trained), rest)

    return initialize


def balanced(base: Initializer) -> Initializer:
    """`base` with W_Q replaced by W_K O, O a random rotation, so that W_K W_Kᵀ = W_Q W_Qᵀ.

    The difference of the two sides is an invariant of the flow (docs: mathematics, "What is conserved"), so a
    balanced start stays balanced for ever.
    """

    def initialize(model: Any, *, key: Key) -> AbstractWordModel:
        if not traits(model).matrices:
            raise ValueError("balanced needs W_K and W_Q, which are never formed at this width: leave it out.")
        key_base, key_rotation = jax.random.split(_checks.key(key))
        model = base(model, key=key_base)
        rotation = _rotation(key_rotation, model.vocabulary, model.W_K.dtype)
        return eqx.tree_at(lambda m: m.W_Q, model, model.W_K @ rotation)

    return initialize


def centered(base: Initializer) -> Initializer:
    """`base`, and the prediction at the start is subtracted for ever: F(x) = α (f(x; θ) - f(x; θ_0)).

    Of a `flowsim.models.ScaledOutput`; its network's start is kept beside it, untrained.
    """

    def initialize(model: Any, *, key: Key) -> ScaledOutput:
        if not isinstance(model, ScaledOutput):
            raise ValueError(
                f"centered subtracts the prediction at the start, which {type(model).__name__} does not keep: make the "
                "model a flowsim.models.ScaledOutput of it."
            )
        model = base(model, key=key)
        return eqx.tree_at(lambda m: m.origin, model, model.network, is_leaf=lambda x: x is None)

    return initialize


def _rotation(key, size, dtype):
    """Haar-distributed orthogonal matrix: QR of a Gaussian one with the signs of R's diagonal taken out."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (size, size), dtype))
    return q * jnp.sign(jnp.diagonal(r))
