"""A task from the user's own samples."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...base import Count, FilePath, about
from ...kind import Traits, kind
from ...remark import Remark
from .base import TaskKind


@kind("task", "file")
class FileTask(TaskKind):
    """The user's own samples: an `.npz` file with `tokens`, `labels` and, if there are any, `groups`."""

    traits: ClassVar[Traits] = Traits(inputs="words", labels="sign")

    path: FilePath = about(
        "An `.npz` file with `tokens`, `labels` and, if there are any, `groups`.", example="data.npz"
    )
    vocabulary: Count = about("How many words there are.", example=64)

    def check(self, experiment: Any) -> Iterator[Remark]:
        if self.vocabulary < 3:
            what = "must be at least 3: words 0, 1, 2 are the targets and the common word"
            yield Remark(("task", "vocabulary"), what)

    def named_files(self) -> Mapping[str, str]:
        return {"path": self.path}

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
        from ...arrays import load_task_arrays, refusals

        yield from refusals("path", lambda: load_task_arrays(folder / self.path, self.vocabulary))

    def build(self, context: Any) -> Any:
        from ....tasks import from_arrays
        from ...arrays import load_task_arrays

        found = load_task_arrays(context.path(self.path), self.vocabulary)
        return from_arrays(found["tokens"], found["labels"], vocabulary=self.vocabulary, groups=found.get("groups"))
