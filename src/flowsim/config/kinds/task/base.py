"""What flowsim's own drawn tasks share."""

from typing import Any, ClassVar

from ...base import Count, about
from ...kind import Kind, Traits


class TaskKind(Kind):
    """A drawn task, whose fields are the arguments of the function of its name in `flowsim.tasks`.

    **Class data:** `fixes_law`: does the task's key also draw the law, so that fresh samples need a key of their own?
    """

    fixes_law: ClassVar[bool] = False

    def build(self, context: Any) -> Any:
        from .... import tasks

        return getattr(tasks, self.kind)(**self.model_dump(exclude={"kind"}), key=context.key("task"))

    def fresh(self, samples: int, context: Any) -> Any:
        """Other samples of the law that the training samples have. They are drawn freely: in no exact groups."""
        from .... import tasks

        given = self.model_dump(exclude={"kind", "embedding"}) | {"samples": samples}
        free = {"exact_groups": False, "distinct_words": False, "whitened": False}
        given |= {name: value for name, value in free.items() if name in given}
        draw = context.key("fresh")
        keys = {"key": context.key("task"), "draw": draw} if self.fixes_law else {"key": draw}
        return getattr(tasks, self.kind)(**given, **keys)


class DrawnLaw(TaskKind):
    """Vectors x with numbers for labels, by a law that is drawn too."""

    traits: ClassVar[Traits] = Traits(inputs="vectors", labels="number", fresh=True)
    fixes_law: ClassVar[bool] = True

    samples: Count = about("How many samples.", example=50)
    features: Count = about("Entries of x.", example=8)
