"""Exact identities of the paper's model (docs: mathematics), in whatever coordinates it is integrated."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _tree
from .._jit import fast_compile
from .._types import Parameters
from ..models import CooccurrenceTransformer
from ..problem import Problem


def frozen_directions_of(model0: CooccurrenceTransformer, model1: CooccurrenceTransformer) -> Array:
    """‖(I - a aᵀ/‖a‖²)(W(t) - W(0))‖ over ‖W(t)‖: W moves along a only."""
    change, a = model1.W - model0.W, model1.a
    across = change - jnp.outer(a, a @ change) / jnp.sum(a**2)
    return jnp.linalg.norm(across) / jnp.linalg.norm(model1.W)


def homogeneity_of(problem: Problem, parameters: Parameters) -> Array:
    """Relative defect of ½ d‖W_V‖²/dt = -(1/n) Σ F_i ∂ℓ/∂F_i.

    The prediction is linear in the value matrix, so by Euler's theorem ⟨∂W_V, W_V⟩ = (1/n) Σ F_i ∂ℓ/∂F_i. It holds at
    every point; its defect is the rounding error of the vector field.
    """
    gradient = jax.grad(problem.risk)(parameters)
    predictions = problem.predictions(parameters)
    slope = jax.vmap(jax.grad(problem.loss))(predictions, problem.samples.labels)
    left = jnp.sum(_values(gradient) * _values(parameters))
    terms = slope * predictions if problem.weights is None else problem.weights * slope * predictions
    return jnp.abs(left - jnp.mean(terms)) / jnp.maximum(jnp.mean(jnp.abs(terms)), jnp.finfo(terms.dtype).tiny)


frozen_directions, homogeneity = fast_compile(frozen_directions_of), fast_compile(homogeneity_of)


def _values(parameters: Parameters) -> Array:
    """The value matrix, as the full and the factored model name it."""
    leaves = dict(zip(_tree.paths(parameters), jax.tree.leaves(parameters), strict=True))
    return leaves["W_V"] if "W_V" in leaves else leaves["V"]
