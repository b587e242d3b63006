"""The way in: an experiment file and its overrides, checked as a whole before any work."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from . import explain, files
from .overrides import ALIASES, apply
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
    """The experiment of a file's text. Files that it names are looked at only if `folder` is given.

    A file without `name` has that of its file.
    """
    return load_document(apply(parse(text, origin), overrides), folder=folder)


def load_document(document: Document, *, folder: str | os.PathLike | None = None) -> Experiment:
    """The experiment of a file that has been parsed, and changed since; as `load_text`."""
    written = {new: old for old, new in ALIASES.items() if old in document.data}
    document = document.renamed(ALIASES)
    data = {"name": _name(document.origin), **document.data}
    sound: dict = {}
    found: list[Problem] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(data, context=sound)
    except ValidationError as error:
        found.extend(explain.problems(error, document))
    for name, field in Experiment.model_fields.items():
        if name not in document.data and not field.is_required() and not field.validate_default:
            sound.setdefault(name, field.get_default(call_default_factory=True))
    found.extend(_remarks(sound, document))
    if folder is not None:
        found.extend(files.problems(sound, document, pathlib.Path(folder)))
    if found or experiment is None:
        raise ExperimentErrors(_as_written(problem, written) for problem in found)
    return experiment


def _name(origin: str) -> str:
    """A file's name as an experiment's."""
    stem = pathlib.PurePath(origin).name.rsplit(".", 1)[0]
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in stem).lstrip("-_")[:100]
    return plain or "experiment"


def _as_written(problem: Problem, written: dict[str, str]) -> Problem:
    """A problem with the section's name that the file has."""
    for new, old in written.items():
        if problem.key == new or problem.key.startswith((f"{new}[", f"{new}.")):
            return dataclasses.replace(problem, key=old + problem.key[len(new) :])
    return problem


def _remarks(sound: dict, document: Document) -> Iterator[Problem]:
    for remark in checks.remarks(sound):
        given = document.texts.get(remark.path)
        yield Problem(document.place(remark.path), dotted(remark.path), remark.text(given))
