"""The files that an experiment names: do they exist, and do they hold what the experiment says?"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from .problems import Problem, dotted
from .schema.checks import Sound, parts, until_unsound
from .yaml_source import Document


def problems(sections: Mapping[str, Any], document: Document, folder: pathlib.Path) -> Iterator[Problem]:
    """What is wrong with the files, at the keys that name them. `sections`: those that hold no error."""
    experiment: Any = Sound(sections)
    for place, part in parts(sections):
        for field, message in until_unsound(lambda part=part: part.try_files(experiment, folder)):
            path = (*place, field)
            yield Problem(document.place(path), dotted(path), f"{message}.")


def named(sections: Mapping[str, Any]) -> list[str]:
    """Every file that an experiment names, as it names it."""
    return [path for _, part in parts(sections) for path in part.named_files().values()]
