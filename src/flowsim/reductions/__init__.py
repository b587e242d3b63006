"""Exact smaller problems with the way back (docs: mathematics). The loop does not know about them."""

import equinox as eqx
import jax
import numpy as np

from .._checks import is_traced
from ..models import CooccurrenceTransformer, FactoredTransformer, InfiniteWidthTransformer, traits
from ..problem import Problem
from .factored import factored, unseen
from .gram import gram, inner_products
from .reduction import Reduction, identity

NAMES = ("auto", "none", "readout", "rotation", "vocabulary", "gram")

_WHAT = {
    "readout": "W moves along a only: m1 leaves the cost",
    "rotation": "the matrices stay in the span of their initial columns: m and m1 leave the cost",
    "vocabulary": "words that no sample holds never move: they leave the state, with m and m1",
}


def reduce(problem: Problem, name: str = "auto", *, shrinking: bool = False) -> Reduction:
    """A problem's exact reduction by name; `auto` takes the smallest from which every parameter can be recovered.

    **Arguments:** `shrinking`: for a flow that shrinks what no gradient moves as well, such as weight decay.

    **Raises:** `ValueError` for an unknown name, or where the problem lacks the structure that it needs.
    """
    if name not in NAMES:
        raise ValueError(f"unknown reduction {name!r}; known are {', '.join(NAMES)}.")
    if name == "none":
        return identity(problem, "asked for")
    obstacle = _obstacle(problem)
    if obstacle is not None:
        if name == "auto":
            return identity(problem, obstacle)
        raise ValueError(f"reduction {name} does not apply: {obstacle}. Use auto or none.")
    if name == "gram":
        return gram(problem, "asked for: inner products of words close on themselves")
    if name == "auto":
        name = _smallest(problem, unseen(problem) > 0 and not shrinking)
        reason = f"smallest exact state: {_WHAT[name]}"
        if not traits(problem.remainder).matrices:
            reason += "; drawn in law, the matrices are never formed"
        return factored(problem, name, reason, shrinking=shrinking)
    if name == "vocabulary" and shrinking:
        raise ValueError("reduction vocabulary does not apply: a decay moves every word's column; use auto or none.")
    if name == "vocabulary" and problem.model(problem.parameters).embedding is not None:
        raise ValueError("reduction vocabulary needs one-hot words: an embedding matrix moves every column.")
    return factored(problem, name, f"asked for: {_WHAT[name]}", shrinking=shrinking)


def _smallest(problem: Problem, drop: bool) -> str:
    if drop:
        return "vocabulary"
    return "rotation" if problem.model(problem.parameters).width > problem.samples.vocabulary + 1 else "readout"


def _obstacle(problem: Problem) -> str | None:
    """Why no reduction applies, None if one does.

    A reduction was derived for one forward pass and one set of trained arrays. A subclass may have another forward
    pass, so only the exact types have reductions.
    """
    if problem.task is None:
        return "no reduction is known for a loss of one's own"
    model = problem.model(problem.parameters)
    kind = type(model)
    if kind is InfiniteWidthTransformer:
        return "the limit of infinite width is its own smallest state; time counts in units of 1/(sigma1² m m1)"
    if kind not in _REDUCIBLE:
        below = any(issubclass(kind, known) for known in _REDUCIBLE)
        return f"{kind.__name__} may have another forward pass" if below else "no reduction is known for this model"
    if not _trains_as_derived(problem, model):
        return "the reductions are those of a model whose W, W_V, W_K and W_Q are trained, all of them and no other"
    if kind is CooccurrenceTransformer and not is_traced(model.a) and not np.any(np.asarray(model.a)):
        return "a is 0, so that W does not move along any direction"
    return None


_REDUCIBLE = (CooccurrenceTransformer, FactoredTransformer)


def _trains_as_derived(problem: Problem, model: CooccurrenceTransformer | FactoredTransformer) -> bool:
    usual = eqx.filter(model, model.trainable())
    return jax.tree.structure(problem.parameters) == jax.tree.structure(usual)


__all__ = ["NAMES", "Reduction", "identity", "inner_products", "reduce"]
