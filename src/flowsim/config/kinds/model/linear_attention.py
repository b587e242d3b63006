"""Linear attention."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ...base import Count, about
from ...kind import Kind, Traits, kind
from ...remark import Remark


@kind("model", "linear_attention")
class LinearAttentionModel(Kind):
    """Linear attention that answers prompts of pairs, with merged or separate key and query of any rank."""

    traits: ClassVar[Traits] = Traits(reads=("sequences",), answers=("number",), attention=False)

    heads: Annotated[Count, Field(le=1000)] = about("How many heads.", 1)
    rank: Count | None = about("Rows of each head's key and query; the features of x if not given.", None, example=1)
    merged: bool = about("One matrix M for K^T Q of each head.", False)

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.merged and self.rank is not None:
            yield Remark(("rank",), "must be left out where key and query are merged: the matrix has full rank")

    def parameter_names(self) -> list[str]:
        return ["v", "M"] if self.merged else ["v", "K", "Q"]

    def build(self, context: Any) -> Any:
        from ....models import LinearAttention

        features = context.task.tokens.shape[-1] - 1
        return LinearAttention(**self.model_dump(exclude={"kind"}), features=features, key=context.key("model"))
