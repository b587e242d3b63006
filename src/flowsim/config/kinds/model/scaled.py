"""A model of a model."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from ...base import Positive, about
from ...kind import Kind, Traits, kind
from ...making import built
from ...remark import Remark
from ...sections import of


@kind("model", "scaled_output")
class ScaledOutputModel(Kind):
    """α f(x), or α (f(x) - f(x) at the start) with `init.centered`: from lazy to rich learning."""

    traits: ClassVar[Traits] = Traits()

    network: of("model", without=("scaled_output",)) = about(
        "The model f.", example={"kind": "mlp", "hidden": [16], "activation": "tanh"}
    )
    scale: Positive = about("The factor α; large is lazy.", 1.0, example=10.0, unit="1")

    def model_post_init(self, context: Any) -> None:
        # What it goes with is what its network goes with, but for the paper's arrays, which bear other names here.
        object.__setattr__(self, "traits", dataclasses.replace(self.network.traits, paper=False, attention=False))

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.network.traits.paper:
            what = "must not be the paper's model: its probes, events and reductions are of F itself"
            yield Remark(("network",), what, "take a transformer of one layer")
        for remark in self.network.check(experiment):
            path = remark.path[1:] if remark.path[:1] == ("model",) else remark.path
            yield remark._replace(path=("network", *path))

    def parameter_names(self) -> list[str] | None:
        names = self.network.parameter_names()
        return None if names is None else [f"network.{name}" for name in names]

    def build(self, context: Any) -> Any:
        from ....models import ScaledOutput

        return ScaledOutput(built(self.network, context), scale=self.scale)
