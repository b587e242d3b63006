"""Exact smaller problems with the way back (specification section 9). The loop does not know about them."""

from ..models import FactoredTransformer, InfiniteWidthTransformer
from ..problem import Problem
from .factored import factored, unseen
from .gram import applies, gram, inner_products
from .reduction import Reduction, identity

NAMES = ("auto", "none", "readout", "rotation", "vocabulary", "gram")

_WHAT = {
    "readout": "W moves along a only: m1 leaves the cost",
    "rotation": "the matrices stay in the span of their initial columns: m and m1 leave the cost",
    "vocabulary": "words that no sample holds never move: they leave the state, with m and m1",
}


def reduce(problem: Problem, name: str = "auto") -> Reduction:
    """A problem's exact reduction by name; `auto` takes the smallest from which every parameter can be recovered.

    **Raises:** `ValueError` for an unknown name, or where the problem lacks the structure that it needs.
    """
    if name not in NAMES:
        raise ValueError(f"unknown reduction {name!r}; known are {', '.join(NAMES)}.")
    if name == "none":
        return identity(problem, "asked for")
    if not applies(problem):
        if name == "auto":
            return identity(problem, _why_none(problem))
        raise ValueError(f"reduction {name} is one of CooccurrenceTransformer; use auto or none for other models.")
    if name == "gram":
        return gram(problem, "asked for: inner products of words close on themselves")
    if name == "auto":
        name = _smallest(problem)
        reason = f"smallest exact state: {_WHAT[name]}"
        if isinstance(problem.remainder, FactoredTransformer):
            reason += "; drawn in law, the matrices are never formed"
        return factored(problem, name, reason)
    if name == "vocabulary" and problem.model(problem.parameters).embedding is not None:
        raise ValueError("reduction vocabulary needs one-hot words: an embedding matrix moves every column.")
    return factored(problem, name, f"asked for: {_WHAT[name]}")


def _smallest(problem: Problem) -> str:
    if unseen(problem):
        return "vocabulary"
    return "rotation" if problem.model(problem.parameters).width > problem.samples.vocabulary + 1 else "readout"


def _why_none(problem: Problem) -> str:
    if isinstance(problem.remainder, InfiniteWidthTransformer):
        return "the limit of infinite width is its own smallest state; time counts in units of 1/(sigma1² m m1)"
    return "no reduction is known for this model"


__all__ = ["NAMES", "Reduction", "identity", "inner_products", "reduce"]
