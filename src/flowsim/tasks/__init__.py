"""What is learned: batches of tokens and labels."""

from .arrays import from_arrays
from .cooccurrence import cooccurrence, exact_sizes, random_positions
from .language import cooccurrence_language, in_context_markov, next_token
from .regression import in_context_moment, in_context_regression, in_context_risk, regression
from .task import GROUPS, Task
from .teachers import modular_addition, teacher_student

__all__ = [
    "GROUPS",
    "Task",
    "cooccurrence",
    "cooccurrence_language",
    "exact_sizes",
    "from_arrays",
    "in_context_markov",
    "in_context_moment",
    "in_context_regression",
    "in_context_risk",
    "modular_addition",
    "next_token",
    "random_positions",
    "regression",
    "teacher_student",
]
