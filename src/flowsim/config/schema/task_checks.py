"""What must hold between the values of the paper's task."""

from collections.abc import Iterator

from .remark import Remark
from .task import CooccurrenceTask, FileTask, TaskConfig

LARGEST_TASK = 10**8  # tokens


def _task_sizes(task: TaskConfig) -> Iterator[Remark]:
    if not isinstance(task, CooccurrenceTask):
        if isinstance(task, FileTask) and task.vocabulary < 3:
            yield Remark(
                ("task", "vocabulary"), "must be at least 3: words 0, 1, 2 are the targets and the common word"
            )
        return
    k = task.targets
    if task.length < k + 1:
        yield Remark(("task", "length"), f"must be at least {k + 1}, to hold {k} target words and the common word")
    if task.vocabulary < k + 2:
        yield Remark(("task", "vocabulary"), f"must be at least {k + 2}: {k} targets, the common word, a random word")
    if task.samples * task.length > LARGEST_TASK:
        yield Remark(("task", "samples"), f"must be such that samples × length is at most {LARGEST_TASK:.0e}")


def _groups(task: TaskConfig) -> Iterator[Remark]:
    if not isinstance(task, CooccurrenceTask):
        return
    if task.group_sizes is not None:
        if len(task.group_sizes) != task.targets + 2 or sum(task.group_sizes) != task.samples:
            what = f"must be {task.targets + 2} numbers with sum {task.samples}, samples of each group"
            yield Remark(("task", "group_sizes"), what, "all targets first, then each alone, then none")
        return
    if not task.exact_groups:
        return
    unit = 2 * (task.targets + 1)
    if task.samples % unit:
        near = max(round(task.samples / unit), 1) * unit
        yield Remark(
            ("task", "samples"),
            f"must be divisible by {unit} for groups of exact size",
            f"take {near}, or set exact_groups: false",
        )


def _distinct_words(task: TaskConfig) -> Iterator[Remark]:
    if not isinstance(task, CooccurrenceTask) or not task.distinct_words or task.length < task.targets + 1:
        return
    n, k = task.samples, task.targets
    positions = n * (task.length - 1)
    sizes = task.group_sizes
    if sizes is None and task.exact_groups and n % (2 * (k + 1)) == 0:
        sizes = (n // 2, *(n // (2 * (k + 1)),) * (k + 1))
    if sizes is not None and len(sizes) == k + 2:
        positions -= k * sizes[0] + sum(sizes[1:-1])
    elif task.exact_groups:
        return  # said already: the samples cannot be divided so
    need = positions + k + 1
    if task.vocabulary < need:
        upto = "up to " if sizes is None else ""
        yield Remark(
            ("task", "vocabulary"),
            f"must be at least {need} for distinct_words ({upto}{positions} random positions, {k + 1} signal words)",
            "raise it, or set distinct_words: false",
        )


TASK_CHECKS = (_task_sizes, _groups, _distinct_words)
