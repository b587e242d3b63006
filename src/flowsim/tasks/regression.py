"""Tasks of numbers: plain regression, and regression that is learned in context."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key, Scalar
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


def in_context_regression(
    *,
    samples: int,
    examples: int,
    features: int,
    noise: float = 0.0,
    covariance: Sequence[float] | None = None,
    weight_variance: float | None = None,
    key: Key,
) -> Task:
    """Prompts (x_1, y_1), …, (x_N, y_N), (x_q, 0) with y = ⟨w, x⟩ + noise, and a new w for each; predict ⟨w, x_q⟩.

    x ~ N(0, Λ), Λ = I by default, and w ~ N(0, I/features), so that for Λ = I a prediction of 0 has squared loss 1/2 on
    average. Each prompt is an array of N + 1 positions with features + 1 entries, for a model with `readout` `last`, or
    `LinearAttention`.

    **Arguments:** `samples`: prompts. `examples`: N. `features`: of x. `noise`: standard deviation of y_1 … y_N.
    `covariance`: the diagonal of Λ, one number for each feature: as w has no direction, other eigenvectors are another
    basis. `weight_variance`: of every entry of w, 1/features if None; 1 in much of the literature.

    **Raises:** `ValueError` for sizes that do not fit.

    **Reference:** Garg, Tsipras, Liang, Valiant (2022), What can transformers learn in-context?; Zhang, Frei, Bartlett
    (2024), Trained transformers learn linear models in-context, section 3.
    """
    _at_least_one(samples=samples, examples=examples, features=features)
    key = _checks.key(key)
    key_x, key_w, key_noise = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (samples, examples + 1, features))
    if covariance is not None:
        x = x * jnp.sqrt(_variances(covariance, features))
    variance = 1 / features if weight_variance is None else _checks.positive("weight_variance", weight_variance)
    w = jax.random.normal(key_w, (samples, features)) * jnp.sqrt(variance)
    y = jnp.einsum("nlf,nf->nl", x, w)
    shown = (y + noise * jax.random.normal(key_noise, y.shape)).at[:, -1].set(0.0)
    return _numbers(jnp.concatenate([x, shown[:, :, None]], axis=2), y[:, -1])


def in_context_risk(
    A: Float[Array, "features features"],
    *,
    covariance: Float[Array | np.ndarray, "features"] | Sequence[float],
    examples: int,
    noise: float = 0.0,
    weight_variance: float = 1.0,
) -> Scalar:
    """The risk ½E(y - ŷ)² of ŷ = (1/N) Σ_n y_n x_nᵀ A x_q over all prompts of `in_context_regression`.

        2 risk = τ (Tr Λ - 2 Tr(A Λ²) + Tr(Aᵀ Λ Γ A Λ)) + (σ²/N) Tr(Aᵀ Λ A Λ),   Γ = (1 + 1/N) Λ + (Tr Λ/N) I

    When to use it: as the risk of linear attention without drawing prompts, `Problem.from_loss`.

    **Arguments:** `A`; `covariance`: the diagonal of Λ; `examples`: N; `noise`: σ; `weight_variance`: τ.

    **Reference:** Zhang, Frei, Bartlett (2024), Trained transformers learn linear models in-context, Lemma 4.
    """
    lam = jnp.asarray(covariance)
    gamma = in_context_moment(lam, examples)
    squares = weight_variance * lam * gamma + noise**2 / examples * lam
    signal = weight_variance * (jnp.sum(lam) - 2 * jnp.sum(jnp.diagonal(A) * lam**2))
    return 0.5 * (signal + jnp.sum(squares[:, None] * A**2 * lam))


def in_context_moment(
    covariance: Float[Array | np.ndarray, "features"], examples: int
) -> Float[Array | np.ndarray, "features"]:
    """The diagonal of Γ = (1 + 1/N) Λ + (Tr Λ/N) I: without noise A = Γ⁻¹ has the least in-context risk.

    **Arguments:** `covariance`: the diagonal of Λ; `examples`: N.
    """
    return (1 + 1 / examples) * covariance + covariance.sum() / examples


def _variances(covariance: Sequence[float], features: int) -> Float[Array, "features"]:
    found = jnp.asarray(covariance, float)
    if found.shape != (features,) or not bool(jnp.all(found > 0)):
        raise ValueError(f"covariance must be {features} positive numbers, one for each feature, got {covariance}.")
    return found


def _numbers(x: Float[Array, "samples *inputs"], y: Float[Array, "samples *outputs"]) -> Task:
    dtype = np.dtype(jnp.zeros(()).dtype)
    return Task(jnp.asarray(x, dtype), jnp.asarray(y, dtype), None, None, 0, ("all",), target="value")


def _at_least_one(**sizes: int) -> None:
    for name, size in sizes.items():
        _checks.count(name, size)
