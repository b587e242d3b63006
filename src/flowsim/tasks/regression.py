"""Tasks of numbers: plain regression, and regression that is learned in context."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key
from .task import Task

Teacher = Literal["linear", "tanh"]


def regression(
    *,
    samples: int,
    features: int,
    outputs: int = 1,
    spectrum: tuple[float, ...] | None = None,
    teacher: Teacher = "linear",
    noise: float = 0.0,
    whitened: bool = False,
    draw: Key | None = None,
    key: Key,
) -> Task:
    """y = f(A x) + noise with x ~ N(0, I) and f the identity or tanh; labels are vectors.

    **Arguments:**

    - `samples`, `features`, `outputs`: sizes.
    - `spectrum`: singular values of A, at most min(features, outputs) of them, between random directions; entries
      N(0, 1/features) if None.
    - `noise`: standard deviation.
    - `whitened`: make (1/samples) Σ x xᵀ the identity exactly, as closed forms of deep linear flows assume; it needs
      samples ≥ features.
    - `draw`: key of inputs and noise, where these are to be others for the teacher A that `key` stands for.

    **Raises:** `ValueError` for sizes that do not fit.
    """
    _at_least_one(samples=samples, features=features, outputs=outputs)
    key = _checks.key(key)
    if whitened and samples < features:
        raise ValueError(f"whitened needs at least as many samples as features, got {samples} and {features}.")
    key_x, key_left, key_right, key_noise = jax.random.split(key, 4)
    if draw is not None:
        key_x, key_noise = jax.random.split(draw)
    x = jax.random.normal(key_x, (samples, features))
    if whitened:
        x = jnp.linalg.qr(x)[0] * jnp.sqrt(samples)
    if spectrum is None:
        A = jax.random.normal(key_left, (outputs, features)) / jnp.sqrt(features)
    else:
        A = _with_spectrum(jnp.asarray(spectrum, x.dtype), outputs, features, key_left, key_right)
    y = x @ A.T
    y = (jnp.tanh(y) if teacher == "tanh" else y) + noise * jax.random.normal(key_noise, y.shape)
    return _numbers(x, y)


def _with_spectrum(values, outputs, features, key_left, key_right):
    if values.size > min(outputs, features):
        raise ValueError(f"spectrum must have at most {min(outputs, features)} values, got {values.size}.")
    left = jnp.linalg.qr(jax.random.normal(key_left, (outputs, values.size)))[0]
    right = jnp.linalg.qr(jax.random.normal(key_right, (features, values.size)))[0]
    return (left * values) @ right.T


def in_context_regression(*, samples: int, examples: int, features: int, noise: float = 0.0, key: Key) -> Task:
    """Prompts (x_1, y_1), …, (x_N, y_N), (x_q, 0) with y = ⟨w, x⟩ + noise, and a new w for each; predict ⟨w, x_q⟩.

    x ~ N(0, I), w ~ N(0, I/features), so a prediction of 0 has squared loss 1/2 on average. Each prompt is an array
    of N + 1 positions with features + 1 entries, for a model with `readout` `last`.

    **Arguments:** `samples`: prompts. `examples`: N. `features`: of x. `noise`: standard deviation of y_1 … y_N.

    **Reference:** Garg, Tsipras, Liang, Valiant (2022), What can transformers learn in-context?; Zhang, Frei, Bartlett
    (2024), Trained transformers learn linear models in-context, section 3.
    """
    _at_least_one(samples=samples, examples=examples, features=features)
    key = _checks.key(key)
    key_x, key_w, key_noise = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (samples, examples + 1, features))
    w = jax.random.normal(key_w, (samples, features)) / jnp.sqrt(features)
    y = jnp.einsum("nlf,nf->nl", x, w)
    shown = (y + noise * jax.random.normal(key_noise, y.shape)).at[:, -1].set(0.0)
    return _numbers(jnp.concatenate([x, shown[:, :, None]], axis=2), y[:, -1])


def _numbers(x: Float[Array, "samples *inputs"], y: Float[Array, "samples *outputs"]) -> Task:
    dtype = np.dtype(jnp.zeros(()).dtype)
    return Task(jnp.asarray(x, dtype), jnp.asarray(y, dtype), None, None, 0, ("all",), target="value")


def _at_least_one(**sizes: int) -> None:
    for name, size in sizes.items():
        _checks.count(name, size)
