"""Balanced starts of deep linear networks: the ones with closed forms."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key
from ..models import DeepLinear
from ..tasks import Task
from .draws import Initializer


def balanced_layers(*, sigma: float) -> Initializer:
    """Layers of one random product, balanced: W_(l+1)ᵀ W_(l+1) = W_l W_lᵀ, a difference that the flow conserves.

        W_N ⋯ W_1 = U S Vᵀ with N(0, σ²) entries,   W_l = R_l S^(1/N) R_(l-1)ᵀ,   R_0 = V, R_N = U

    with random orthonormal columns in the other R_l.

    **Arguments:** `sigma`: σ > 0.

    **Returns:** a function `(model, *, key) -> model` for a `DeepLinear`.

    **Reference:** Arora, Cohen, Golowich, Hu (2019), A convergence analysis of gradient descent for deep linear neural
    networks, Procedure 1.
    """
    _checks.positive("sigma", sigma)

    def initialize(model: DeepLinear, *, key: Key) -> DeepLinear:
        key_product, key_frames = jax.random.split(_checks.key(key))
        outputs, inputs = _ends(model)
        U, S, Vt = jnp.linalg.svd(sigma * jax.random.normal(key_product, (outputs, inputs)), full_matrices=False)
        return _layers(model, U, S, Vt.T, key_frames)

    return initialize


def mode_aligned(task: Task, *, strength: float | Sequence[float]) -> Initializer:
    """Balanced layers whose product is aligned with the modes of a regression task.

        (1/n) Σ_i y_i x_iᵀ = U diag(λ) Vᵀ,   W_N ⋯ W_1 = U diag(s_0) Vᵀ

    On whitened inputs every mode then follows s' = N s^(2 - 2/N) (λ - s) alone.

    **Arguments:** `task`: with vectors as inputs and labels; `strength`: s_0 > 0 of all modes, or one for each, the
    strongest mode's first.

    **Returns:** a function `(model, *, key) -> model` for a `DeepLinear`.

    **Raises:** `ValueError`, when it is called, for another number of strengths than min(inputs, outputs).

    **Reference:** Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, section 1.2.
    """
    values = (strength,) if isinstance(strength, int | float) else tuple(strength)
    for value in values:
        _checks.positive("each strength", value)

    def initialize(model: DeepLinear, *, key: Key) -> DeepLinear:
        modes = min(_ends(model))
        if len(values) not in (1, modes):
            raise ValueError(f"strength must be one number or {modes}, one for each mode; got {len(values)}.")
        x, y = jnp.asarray(task.tokens), jnp.asarray(task.labels)
        U, _, Vt = jnp.linalg.svd(y.T @ x / len(x), full_matrices=False)
        start = jnp.broadcast_to(jnp.asarray(values, U.dtype), (modes,))
        return _layers(model, U, start, Vt.T, _checks.key(key))

    return initialize


def _ends(model: DeepLinear) -> tuple[int, int]:
    """Outputs and inputs. **Raises:** `ValueError` for a model without layers of its own, or one with a bottleneck."""
    if not isinstance(model, DeepLinear):
        raise ValueError(f"a balanced start of layers is one of DeepLinear, got {type(model).__name__}.")
    outputs, inputs = model.layers[-1].shape[0], model.layers[0].shape[1]
    narrow = min(W.shape[0] for W in model.layers)
    if narrow < min(outputs, inputs):
        raise ValueError(
            f"hidden layers must have at least {min(outputs, inputs)} neurons, one for each mode, got {narrow}."
        )
    return outputs, inputs


def _layers(
    model: DeepLinear,
    U: Float[Array, "outputs modes"],
    strength: Float[Array, "modes"],
    V: Float[Array, "inputs modes"],
    key: Key,
) -> DeepLinear:
    """W_l = R_l strength^(1/N) R_(l-1)ᵀ."""
    depth, modes = len(model.layers), len(strength)
    keys = jax.random.split(key, depth)
    inner = [jax.random.orthogonal(k, W.shape[0])[:, :modes] for k, W in zip(keys, model.layers[:-1], strict=False)]
    frames, root = [V, *inner, U], strength ** (1 / depth)
    layers = tuple((frames[i + 1] * root) @ frames[i].T for i in range(depth))
    return eqx.tree_at(lambda m: m.layers, model, layers)
