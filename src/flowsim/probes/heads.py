"""Probes of any transformer, head by head and block by block, and of linear networks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _tree
from ..models import DeepLinear, Head, Transformer
from ..problem import Problem
from .probe import Probe


def _attention_entropy(moment):
    patterns = jax.vmap(moment.model.attention)(moment.problem.samples.tokens)
    safe = jnp.where(patterns > 0, patterns, 1.0)
    entropy = -jnp.sum(patterns * jnp.log(safe), axis=3)  # over the keys, at axis 3 of sample, layer, head, key, query
    return jnp.mean(entropy, axis=(0, 3)).reshape(-1)


def _effective_rank(moment):
    return jnp.array([effective_rank(_scores_spectrum(head)) for block in moment.model.blocks for head in block.heads])


def _scores_spectrum(head: Head) -> Float[Array, "rank"]:
    """Singular values of W_KᵀW_Q. With W_Kᵀ = U R and W_Qᵀ = V T they are those of R Tᵀ, which is small."""
    if head.W_KQ is not None:
        return jnp.linalg.svd(head.W_KQ, compute_uv=False)
    assert head.W_K is not None
    assert head.W_Q is not None
    key, query = (jnp.linalg.qr(W.T, mode="r") for W in (head.W_K, head.W_Q))
    return jnp.linalg.svd(key @ query.T, compute_uv=False)


def effective_rank(values: Float[Array, "rank"]) -> Float[Array, ""]:
    """exp(entropy of the singular values over their sum): 1 where one rules, their number where all are equal.

    **Reference:** Roy, Vetterli (2007), The effective rank: a measure of effective dimensionality.
    """
    share = values / jnp.maximum(jnp.sum(values), jnp.finfo(values.dtype).tiny)
    return jnp.exp(-jnp.sum(share * jnp.log(jnp.where(share > 0, share, 1.0))))


def _block_norm(moment):
    return jnp.array([_tree.norm(block) for block in moment.parameters.blocks])


def _singular_values(moment):
    return jnp.linalg.svd(moment.model.product(), compute_uv=False)


_ENTROPY = Probe(
    "attention_entropy", ("head",), "entropy of a head's attention over the keys, mean of samples and queries", "nat",
    _attention_entropy,
)  # fmt: skip
_RANK = Probe("effective_rank", ("head",), "effective rank of a head's W_KᵀW_Q", "1", _effective_rank)
_NORM = Probe("block_norm", ("block",), "norm of all trained parameters of a block", "1", _block_norm)
_MODES = Probe("singular_values", ("mode",), "singular values of the product of all matrices", "1", _singular_values)


def of_structure(problem: Problem) -> tuple[Probe, ...]:
    """What this problem's model has: heads and blocks, or a product of matrices."""
    if problem.task is None:
        return ()
    match problem.remainder:
        case Transformer(kind="softmax"):
            return (_ENTROPY, _RANK, _NORM)
        case Transformer():
            return (_RANK, _NORM)
        case DeepLinear():
            return (_MODES,)
        case _:
            return ()


def labels_of_structure(problem: Problem) -> dict[str, list]:
    """Labels of the axes of these probes: head `2.1` is the first head of the second layer."""
    if problem.is_word_problem:
        return {"head": ["1.1"], **_positions(problem)}
    match problem.remainder:
        case Transformer(blocks=blocks):
            heads = [f"{i}.{j}" for i, block in enumerate(blocks, 1) for j in range(1, len(block.heads) + 1)]
            positions = _positions(problem) if problem.task is not None else {}
            return {"head": heads, "block": list(range(1, len(blocks) + 1)), **positions}
        case DeepLinear():
            shapes = [x.shape for x in jax.tree.leaves(problem.parameters)]
            return {"mode": list(range(1, min(shapes[0][1], shapes[-1][0]) + 1))}
        case _:
            return {}


def _positions(problem: Problem) -> dict[str, list]:
    return {name: list(range(problem.samples.length)) for name in ("key_position", "query_position")}
