"""An experiment with where it comes from."""

import dataclasses
import pathlib

from .naming import Naming
from .schema import Experiment


@dataclasses.dataclass(frozen=True)
class Source:
    """What is run, as it was asked for.

    **Fields:** `text`: the experiment as given; `folder`: where paths in it start; `command`: the one that resumes it;
    `whole`: the experiment that this run is the first part of; `member`: the id by which a sweep knows this run.
    """

    experiment: Experiment
    text: str
    folder: pathlib.Path
    command: str = "run"
    whole: Experiment | None = None
    member: str | None = None

    @property
    def id(self) -> str:
        """The id that a sweep has, or would have, for this run."""
        return self.member or Naming(self.folder).id(self.experiment)
