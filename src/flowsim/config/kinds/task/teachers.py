"""Tasks of vectors whose labels a fixed rule gives."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...base import Count, NotNegative, Whole, about
from ...kind import Traits, kind
from ...remark import Remark
from .base import DrawnLaw, TaskKind


@kind("task", "modular_addition")
class ModularAdditionTask(TaskKind):
    """a + b modulo a number, one-hot."""

    traits: ClassVar[Traits] = Traits(inputs="vectors", labels="number")

    modulus: Annotated[Whole, Field(ge=2, le=1000)] = about("The number p.", example=7)
    samples: Count | None = about("How many of the p² pairs are drawn; all by default.", None, example=25)

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.samples is not None and self.samples > self.modulus**2:
            yield Remark(("samples",), f"must be at most modulus² = {self.modulus**2}, the number of pairs")


@kind("task", "teacher_student")
class TeacherStudentTask(DrawnLaw):
    """A teacher network of one hidden layer on Gaussian inputs."""

    neurons: Count = about("Hidden neurons of the teacher.", 1)
    activation: Literal["linear", "relu", "tanh", "erf", "quadratic"] = about("Of the teacher's neurons.", "relu")
    noise: NotNegative = about("Standard deviation of what is added to the labels.", 0.0, unit="label")
