"""Linear attention that reads prompts of pairs and answers their query."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .._types import Key
from .linear import uniform
from .model import AbstractModel


class LinearAttention(AbstractModel):
    """Linear attention on prompts (x_1, y_1), …, (x_N, y_N), (x_q, 0) of `tasks.in_context_regression`.

        F = (1/N) Σ_h v_h Σ_n y_n x_nᵀ A_h x_q,   A_h = K_hᵀ Q_h, or A_h = M_h where key and query are merged

    Its value reads the labels only, and no 1/√(rank) divides its scores: the weights of an attention layer that are 0
    here stay 0 if they start there, and the prediction is its last entry.

    When to use it: the flow of its risk has closed forms. With merged key and query it is a two-layer linear network on
    cubic features and learns in one drop; with separate ones of low rank it learns a few directions at a time.

    **Arguments:** `features`: of x; `heads`: H; `rank`: rows of each K_h and Q_h, `features` if None; `merged`: one
    matrix M_h for K_hᵀ Q_h; `key`: for the weights, U(±1/√fan_in).

    **Raises:** `ValueError` for sizes below 1, or a rank with merged key and query.

    **Reference:** Zhang, Singh, Latham, Saxe (2025), Training dynamics of in-context learning in linear attention,
    sections 2.2 and 2.3.
    """

    v: Float[Array, "heads"]
    K: Float[Array, "heads rank features"] | None
    Q: Float[Array, "heads rank features"] | None
    M: Float[Array, "heads features features"] | None

    def __init__(self, *, features: int, heads: int = 1, rank: int | None = None, merged: bool = False, key: Key):
        for name, size in (("features", features), ("heads", heads), ("rank", 1 if rank is None else rank)):
            _checks.count(name, size)
        if merged and rank is not None:
            raise ValueError("a merged matrix of key and query has full rank: leave rank out, or set merged=False.")
        key_v, key_K, key_Q = jax.random.split(_checks.key(key), 3)
        shape = (heads, features if rank is None else rank, features)
        self.v = uniform(key_v, (heads, 1))[:, 0]
        self.K = None if merged else uniform(key_K, shape)
        self.Q = None if merged else uniform(key_Q, shape)
        self.M = uniform(key_K, shape) if merged else None

    def trainable(self) -> Any:
        return jax.tree.map(lambda _: True, self)

    def matrix(self) -> Float[Array, "features features"]:
        """A = Σ_h v_h A_h, through which alone the prediction depends on the weights."""
        if self.M is not None:
            return jnp.einsum("h,hij->ij", self.v, self.M)
        return jnp.einsum("h,hri,hrj->ij", self.v, self.K, self.Q)

    def __call__(self, prompt: Float[Array, "positions entries"]) -> Float[Array, ""]:
        x, y = prompt[:, :-1], prompt[:-1, -1]
        return (y @ x[:-1]) @ self.matrix() @ x[-1] / len(y)
