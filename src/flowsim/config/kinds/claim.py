"""`claims`: statements that `flowsim verify` judges. Most are a user's; the home paper's are one kind."""

from typing import Any

from ..kind import Kind, kind


@kind("claim", "yang2024")
class Yang2024(Kind):
    """The claims of Yang, Kailkhura, Wang and Liang (2024) on its model and task: what `flowsim verify` judges where
    an experiment lists no claims."""

    def build(self, context: Any) -> Any:
        from ...claims.yang2024 import THEORY

        return THEORY
