"""Changes to an experiment from the command line: `flow.t1=1.0e6`."""

import copy
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from .base import named
from .problems import ExperimentErrors, Place, Problem, refusal, shortened
from .yaml_source import Document, Path, parse_value

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

ALIASES = {"discrete": "descent"}
"""Old names of sections that are still read."""

_SHORT = ("task", "model", "init", "loss", "flow", "solver", "problem")  # `solver: tsit5` is short for {kind: tsit5}


def apply(document: Document, changes: Sequence[str]) -> Document:
    """The document with each change made, in order. A key's places then name the change instead of a line.

    **Raises:** `ExperimentErrors` if a change is not `key.sub=value`.
    """
    if not changes:
        return document
    out = document.copy()
    found: list[Problem] = []
    for change in changes:
        try:
            _change(out, change)
        except ExperimentErrors as error:
            found.extend(error.problems)
    if found:
        raise ExperimentErrors(found)
    return out


def _change(document: Document, change: str) -> None:
    key, equals, text = change.partition("=")
    place = Place(f"override {shortened(change, 80)}")
    if not equals or not _KEY.fullmatch(key):
        raise refusal(place, "an override is key.sub=value, as in flow.t1=1.0e6.")
    first, *rest = key.split(".")
    path: tuple[str, ...] = (_name_in(document, first), *rest)
    value = _value(text, place, key)
    parent: dict[str, Any] = document.data
    for depth, part in enumerate(path[:-1], 1):
        inner = parent.setdefault(part, {})
        if depth == 1 and part in _SHORT:
            inner = parent[part] = named(inner)
        if not isinstance(inner, dict):
            what = ".".join(path[:depth])
            raise refusal(place, f"{what} is not a section in the file; replace it as a whole: {what}=…", key)
        document.keys.setdefault(path[:depth], place)
        parent = inner
    parent[path[-1]] = copy.deepcopy(value.data["value"])
    _forget(document, path)
    document.keys[path] = document.values[path] = place
    for inner_path, inner_text in value.texts.items():
        document.texts[path + inner_path] = inner_text
        document.values[path + inner_path] = place


def _name_in(document: Document, name: str) -> str:
    """The section's name as the file has it: the old or the new one."""
    for old, new in ALIASES.items():
        if name in (old, new):
            other = new if name == old else old
            return other if other in document.data else name
    return name


def _value(text: str, place: Place, key: str) -> Document:
    try:
        return parse_value(text, place.origin)
    except ExperimentErrors as error:
        raise ExperimentErrors(dataclasses.replace(problem, key=key) for problem in error.problems) from None


def _forget(document: Document, path: Path) -> None:
    for table in (document.keys, document.values, document.texts):
        for known in [known for known in table if known[: len(path)] == path]:
            del table[known]
