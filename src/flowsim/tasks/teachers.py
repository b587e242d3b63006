"""Tasks of vectors whose labels a fixed rule gives: a teacher network, or addition modulo p."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Array, Float, Key
from .task import Task

Activation = Literal["linear", "relu", "tanh", "erf", "quadratic"]


def modular_addition(*, modulus: int, samples: int | None = None, key: Key) -> Task:
    """a + b mod p: x is one-hot of a beside one-hot of b (2p entries), y is one-hot of the sum (p entries).

    **Arguments:** `modulus`: p ≥ 2; `samples`: that many of the p² pairs, drawn without repetition; all if None.

    **Raises:** `ValueError` for a modulus below 2, or more samples than pairs.

    **Reference:** Gromov (2023), Grokking modular arithmetic; Power et al. (2022), Grokking.
    """
    pairs = modulus**2
    if modulus < 2:
        raise ValueError(f"modulus must be at least 2, got {modulus}.")
    if samples is not None and not 1 <= samples <= pairs:
        raise ValueError(f"samples must be between 1 and modulus² = {pairs}, got {samples}.")
    chosen = jnp.arange(pairs) if samples is None else jax.random.permutation(_checks.key(key), pairs)[:samples]
    first, second = chosen // modulus, chosen % modulus
    x = jnp.concatenate([jax.nn.one_hot(first, modulus), jax.nn.one_hot(second, modulus)], axis=1)
    return _numbers(x, jax.nn.one_hot((first + second) % modulus, modulus))


def teacher_student(
    *,
    samples: int,
    features: int,
    neurons: int = 1,
    activation: Activation = "relu",
    noise: float = 0.0,
    draw: Key | None = None,
    key: Key,
) -> Task:
    """y = Σ_k a_k φ(w_kᵀx)/√K + noise with x ~ N(0, I), w_k ~ N(0, I/features) and a_k = ±1.

    **Arguments:** `samples`, `features`; `neurons`: K, of the teacher; `activation`: φ; `noise`: standard deviation;
    `draw`: key of inputs and noise, where these are to be others for the teacher that `key` stands for.
    """
    for name, size in (("samples", samples), ("features", features), ("neurons", neurons)):
        _checks.count(name, size)
    phi = {
        "linear": lambda z: z,
        "relu": jax.nn.relu,
        "tanh": jnp.tanh,
        "erf": jax.scipy.special.erf,
        "quadratic": jnp.square,
    }[activation]
    key_w, key_a, key_x, key_noise = jax.random.split(_checks.key(key), 4)
    if draw is not None:
        key_x, key_noise = jax.random.split(draw)
    w = jax.random.normal(key_w, (neurons, features)) / jnp.sqrt(features)
    a = jax.random.rademacher(key_a, (neurons,), w.dtype) / jnp.sqrt(neurons)
    x = jax.random.normal(key_x, (samples, features))
    y = phi(x @ w.T) @ a + noise * jax.random.normal(key_noise, (samples,))
    return _numbers(x, y[:, None])


def _numbers(x: Float[Array, "samples inputs"], y: Float[Array, "samples outputs"]) -> Task:
    dtype = np.dtype(jnp.zeros(()).dtype)
    return Task(jnp.asarray(x, dtype), jnp.asarray(y, dtype), None, None, 0, ("all",), target="value")
