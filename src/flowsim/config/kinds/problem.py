"""`problem`: a whole problem, instead of task, model, init and loss.

Anything that `flowsim.Problem.from_loss` can do can be an experiment file by a plugin's kind.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from ..base import Count, Listed, NotNegative, Positive, about
from ..kind import Kind, kind
from ..remark import Remark


class ProblemKind(Kind):
    """A whole problem that is drawn with one key, and brings claims along, which the kind `of_problem` judges."""

    def problem(self, key: Any) -> Any:
        """The `flowsim.Problem`. **Arguments:** `key`: of the random stream `problem`."""
        raise NotImplementedError(f"{type(self).__name__} has no problem(self, key)")

    def claims(self, key: Any) -> list[Any]:
        """Its claims, for the same key; none by default."""
        return []

    def start_size(self) -> float | None:
        """How small the weights are at t = 0: an absolute tolerance that is not given follows it; None: it does not."""
        return None

    def build(self, context: Any) -> Any:
        return self.problem(context.key("problem"))


@kind("problem", "in_context_population")
class InContextPopulation(Kind):
    """Linear attention on in-context linear regression: the exact risk over all prompts, from Gaussian weights."""

    covariance: Annotated[tuple[Positive, ...], Listed, Field(min_length=1, max_length=1000)] = about(
        "Variance of each entry of x: the diagonal of the covariance.", example=[0.4, 0.3, 0.2, 0.1], unit="input²"
    )
    examples: Count = about("Pairs (x, y) of a prompt.", example=31)
    noise: NotNegative = about("Standard deviation of what is added to the labels.", 0.0, unit="label")
    weight_variance: Positive = about("Of every entry of w in y = <w, x>.", 1.0, unit="(label/input)²")
    heads: Annotated[Count, Field(le=1000)] = about("How many heads.", 1)
    rank: Count | None = about("Rows of each head's key and query; the entries of x if not given.", None, example=1)
    merged: bool = about("One matrix M for K^T Q of each head.", False)
    sigma: Positive = about("Standard deviation of every weight at t = 0.", 0.02, unit="weight")

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.merged and self.rank is not None:
            yield Remark(("rank",), "must be left out where key and query are merged: the matrix has full rank")

    def build(self, context: Any) -> Any:
        import jax

        from ...models import LinearAttention
        from ...problem import Problem
        from ...tasks import in_context_risk

        sizes = {"features": len(self.covariance), "heads": self.heads, "rank": self.rank, "merged": self.merged}
        model = LinearAttention(**sizes, key=context.key("model"))
        leaves, structure = jax.tree.flatten(model)
        keys = jax.random.split(context.key("init"), len(leaves))
        drawn = [self.sigma * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
        law = {"covariance": self.covariance, "examples": self.examples, "noise": self.noise,
               "weight_variance": self.weight_variance}  # fmt: skip

        def risk(attention: Any) -> Any:
            return in_context_risk(attention.matrix(), **law)

        return Problem.from_loss(risk, jax.tree.unflatten(structure, drawn))
