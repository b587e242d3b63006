"""The runs of a verification, as members of a sweep in its folder."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from ..config import Source
from ..config.naming import Naming
from ..config.schema import Certificate, Experiment, Scaling
from ..experiment.run import recorded
from ..result import Result
from .ensemble import plan_over
from .expand import Member, Plan, expand, written
from .folder import Sweep
from .state import finished, summary


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a verification, as a member of a sweep."""

    member: Member
    plan: Plan
    experiment: Experiment


class Runs:
    """The runs of a verification that has more than one.

    **Arguments:** `path`: its folder, whose lock this process holds; `folder`: where paths in the experiment start;
    `number`: how many they are.
    """

    def __init__(self, path: pathlib.Path, folder: pathlib.Path, number: int):
        self._path, self._folder, self._number, self._naming = path, folder, number, Naming(folder)

    def over_seeds(self, base: Experiment, seeds: Sequence[int]) -> list[Run]:
        """The experiment of every seed."""
        plan = plan_over(base, self._folder, seed=seeds)
        return self._added(plan, expand(plan))

    def of_sizes(self, base: Experiment, entry: Scaling) -> Plan:
        """The sweep that an entry of `scaling` makes; without claims of one's own its runs are not certified."""
        left_out = {} if base.claims else {"certificate": Certificate(method="none")}
        sizes = [size_of(base, entry, value) for value in entry.values]
        axes = {key_of(entry): sizes, "seed": range(base.seed, base.seed + entry.seeds)}
        return plan_over(base.model_copy(update=left_out), self._folder, **axes)

    def at_size(self, plan: Plan, points: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> list[Run]:
        """Some members of such a sweep: the values of each on the axes, and what else is changed with them."""
        members = []
        for values, others in points:
            overrides = tuple(written(key, value) for key, value in {**values, **others}.items())
            name = self._naming.id(plan.experiment(overrides))
            members.append(Member(name, 0, overrides, values))
        return self._added(plan, members)

    def put(self, run: Run, result: Result) -> None:
        """Write the folder of a run, unless it is there."""
        folder = self._path / "members" / run.member.id
        if finished(folder):
            summary(folder)  # refused if it is another's
        else:
            source = Source(run.experiment, run.plan.text, self._folder, "verify", member=run.member.id)
            recorded(source, result, folder, runs=self._number)

    def _added(self, plan: Plan, members: Sequence[Member]) -> list[Run]:
        Sweep.inside(self._path, plan, members)
        return [Run(member, plan, plan.experiment(member.overrides)) for member in members]


def key_of(entry: Scaling) -> str:
    """The key that is varied, as `model.width`."""
    return ".".join(entry.place)


def size_of(base: Experiment, entry: Scaling, value: float) -> int | float:
    """A value as the key takes it."""
    section, key = entry.place
    return int(value) if isinstance(getattr(getattr(base, section), key), int) else value
