"""An experiment with where it comes from."""

import dataclasses
import pathlib

from .schema import Experiment


@dataclasses.dataclass(frozen=True)
class Source:
    """What is run, as it was asked for.

    **Fields:** `text`: the experiment as given; `folder`: where paths in it start; `command`: the one that resumes it;
    `whole`: the experiment that this run is the first part of.
    """

    experiment: Experiment
    text: str
    folder: pathlib.Path
    command: str = "run"
    whole: Experiment | None = None
