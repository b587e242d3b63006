"""The way in: an experiment file and its overrides, checked as a whole before any work."""

import os
import pathlib
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from . import explain
from .overrides import apply
from .problems import ExperimentErrors, Problem, dotted
from .schema import Experiment, checks
from .yaml_source import Document, parse
from .yaml_text import read_text


def load(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a file.

    **Arguments:**

    - `path`: of the experiment file; paths inside it are relative to its folder.
    - `overrides`: `key.sub=value` with YAML values, checked like the file.

    **Raises:** `ExperimentErrors` with everything that is wrong.
    """
    return load_text(read_text(path), origin=str(path), folder=pathlib.Path(path).parent, overrides=overrides)


def load_text(
    text: str, *, origin: str, folder: str | os.PathLike | None = None, overrides: Sequence[str] = ()
) -> Experiment:
    """The experiment of a file's text. Files that it names are looked at only if `folder` is given."""
    return load_document(apply(parse(text, origin), overrides), folder=folder)


def load_document(document: Document, *, folder: str | os.PathLike | None = None) -> Experiment:
    """The experiment of a file that has been parsed, and changed since; as `load_text`."""
    sound: dict = {}
    found: list[Problem] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(document.data, context=sound)
    except ValidationError as error:
        found.extend(explain.problems(error, document))
    for name, field in Experiment.model_fields.items():
        if name not in document.data and not field.is_required():
            sound.setdefault(name, field.get_default())
    found.extend(_remarks(sound, document))
    if folder is not None:
        found.extend(_files(sound, document, pathlib.Path(folder)))
    if found or experiment is None:
        raise ExperimentErrors(found)
    return experiment


def _remarks(sound: dict, document: Document) -> Iterator[Problem]:
    for remark in checks.remarks(sound):
        given = document.texts.get(remark.path)
        yield Problem(document.place(remark.path), dotted(remark.path), remark.text(given))


def _files(sound: dict, document: Document, folder: pathlib.Path) -> Iterator[Problem]:
    named = [(sound.get("task"), "path"), (sound.get("task"), "embedding"), (sound.get("init"), "path")]
    if any(getattr(section, key, None) is not None for section, key in named):
        from . import files  # NumPy takes longer to load than most experiments take to check

        yield from files.problems(sound, document, folder)
