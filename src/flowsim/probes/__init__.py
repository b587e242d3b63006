"""What is measured along the path: `Probe`s of any problem, of labelled samples, and of the paper's words."""

from .. import invariants
from ..flows import AbstractFlow
from ..models import traits
from ..problem import Problem
from .any import EVERY_PROBLEM
from .arrays import norm, numbers, rank, singular_values, subspace_alignment, variable
from .attention import attention_map, induction_score
from .conserved import drift_probe
from .fresh import fresh_accuracy, fresh_loss
from .heads import effective_rank, labels_of_structure, of_structure
from .ntk import ntk
from .probe import Probe, measure_all, user
from .samples import CLASSIFIED, GROUPS, STATISTICS, margins, sample_weights
from .sharpness import largest_eigenvalues, sharpness
from .spectra import RULE, hessian_extremes, hessian_spectrum
from .theory import a_squared, of_claims
from .words import LIMIT_WORDS, RANDOM_WORDS, SHOWN, WORDS


def standard(problem: Problem) -> tuple[Probe, ...]:
    """Every probe that this problem's structure supports."""
    chosen = EVERY_PROBLEM
    if problem.task is not None:
        if problem.task.target != "value":
            chosen += CLASSIFIED
        if problem.task.groups is not None:
            chosen += GROUPS
    chosen += of_structure(problem)
    if problem.is_word_problem:
        chosen += LIMIT_WORDS if traits(problem.remainder).limit else WORDS
        if problem.samples.vocabulary > SHOWN:
            chosen += RANDOM_WORDS
        chosen += tuple(drift_probe(product) for product in invariants.of_words(problem.parameters))
    return chosen


def coordinates(problem: Problem, flow: AbstractFlow | None = None) -> dict[str, list]:
    """Labels of the axes that the standard probes use, and those of a flow with derivatives."""
    words = list(range(SHOWN))
    labels: dict[str, list] = dict.fromkeys(("key_word", "query_word", "word", "word_2"), words)
    labels["statistic"] = list(STATISTICS)
    labels["rule"] = list(RULE)
    if problem.task is not None:
        labels["group"] = list(problem.task.group_names)
    if flow is not None and flow.traits.directions:
        labels["direction"] = list(flow.traits.directions)
    return labels | labels_of_structure(problem)


__all__ = [
    "Probe",
    "a_squared",
    "attention_map",
    "coordinates",
    "drift_probe",
    "effective_rank",
    "fresh_accuracy",
    "fresh_loss",
    "hessian_extremes",
    "hessian_spectrum",
    "induction_score",
    "largest_eigenvalues",
    "margins",
    "measure_all",
    "norm",
    "ntk",
    "numbers",
    "of_claims",
    "rank",
    "sample_weights",
    "sharpness",
    "singular_values",
    "standard",
    "subspace_alignment",
    "user",
    "variable",
]
