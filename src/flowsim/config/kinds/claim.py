"""`claims`: statements that `flowsim verify` judges. Most are a user's; the home paper's are one kind."""

from collections.abc import Iterator
from typing import Any

from ..kind import Kind, kind
from ..remark import Remark
from .problem import ProblemKind


@kind("claim", "of_problem")
class OfProblem(Kind):
    """The claims that the experiment's whole problem brings along."""

    def check(self, experiment: Any) -> Iterator[Remark]:
        if not isinstance(experiment.problem, ProblemKind):
            yield Remark((), "must not be of_problem: the experiment has no `problem` of a kind that states claims")

    def build(self, context: Any) -> Any:
        return context.experiment.problem.claims(context.key("problem"))


@kind("claim", "yang2024")
class Yang2024(Kind):
    """The claims of Yang, Kailkhura, Wang and Liang (2024) on its model and task: what `flowsim verify` judges where
    an experiment lists no claims."""

    def build(self, context: Any) -> Any:
        from ...claims.yang2024 import THEORY

        return THEORY
