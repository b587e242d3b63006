"""The Gram system: a different ODE with the same answer."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Parameters
from ..models import AbstractWordModel, GramTransformer
from ..problem import Problem
from .reduction import Reduction

_LARGEST = 4096  # four d × d matrices: 0.5 GB in float64


class GramMetric(eqx.Module):
    """dz/dt of the inner products from the risk's slopes ∂G and ∂A (paper, Appendix C).

        dG/dt = -‖a‖² VV ∂G - c ∂G     dc/dt = -2‖a‖² G·∂G     dVV/dt = -(∂G Gᵀ + G ∂Gᵀ)
        dA/dt = -(∂A QQ + KK ∂A)       dKK/dt = -(A ∂Aᵀ + ∂A Aᵀ)     dQQ/dt = -(Aᵀ ∂A + ∂Aᵀ A)

    with ∂A = ∂S/√m, which absorbs every √m.
    """

    a_squared: Float[Array, ""]

    def __call__(self, z: Parameters, slope: Parameters) -> Parameters:
        dG, dA, s = slope.G, slope.A, self.a_squared
        outer, key, query = jnp.outer(dG, z.G), z.A @ dA.T, z.A.T @ dA
        velocity = (
            -s * (z.VV @ dG) - z.c * dG,
            -2 * s * (z.G @ dG),
            -(dA @ z.QQ + z.KK @ dA),
            -(outer + outer.T),
            -(key + key.T),
            -(query + query.T),
        )
        return eqx.tree_at(lambda p: (p.G, p.c, p.A, p.VV, p.KK, p.QQ), z, velocity)


def gram(problem: Problem, reason: str) -> Reduction:
    """The Gram system of a problem. Inner products of words come back; single parameters do not.

    **Raises:** `ValueError` where the words' inner products do not close on themselves (words that are not
    orthonormal), or where the vocabulary is too large for d × d matrices.
    """
    model = problem.model(problem.parameters)
    if problem.samples.vocabulary > _LARGEST:
        raise ValueError(
            f"reduction gram holds four d × d matrices; d = {problem.samples.vocabulary} is above {_LARGEST}: "
            "use reduction vocabulary."
        )
    if model.embedding is not None and not _orthonormal(model.embedding):
        raise ValueError("reduction gram needs orthonormal word embeddings; use reduction rotation.")
    small = inner_products(model, problem.samples.vocabulary)
    reduced = problem.restated(small, _plain(problem.samples))
    metric = GramMetric(model.a_squared())
    reduced = eqx.tree_at(lambda p: p.metric, reduced, metric, is_leaf=lambda x: x is None)
    return Reduction("gram", reduced, None, reason, recoverable=False)


def inner_products(model: AbstractWordModel, vocabulary: int) -> GramTransformer:
    """The state of the Gram system for a model in any coordinates."""
    words = jnp.arange(vocabulary)
    G = model.alignment()
    return GramTransformer(  # pyright: ignore[reportCallIssue] (an AbstractVar is no field)
        G=G,
        c=model.readout_squared(),
        A=model.key_query(words),
        VV=model.value_gram(words),
        KK=model.key_gram(words),
        QQ=model.query_gram(words),
        m=jnp.asarray(model.width, G.dtype),
    )


def _orthonormal(embedding) -> bool:
    size = embedding.shape[1]
    return bool(np.allclose(np.asarray(embedding.T @ embedding), np.eye(size), atol=1e-10))


def _plain(task):
    return eqx.tree_at(lambda t: t.embedding, task, None, is_leaf=lambda x: x is None)
