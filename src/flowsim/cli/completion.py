"""What a shell completes: keys of an experiment, the kinds of its sections, and names."""

import types
import typing
from collections.abc import Iterator
from typing import Any

import typer

from .. import gallery
from .._values import as_list
from ..config import Experiment, registered, templates
from ..config.kind import Kind, description
from ..config.sections import Of
from ..config.yaml_source import parse
from ..config.yaml_text import read_text

Offer = tuple[str, str]
"""What may be written, and what it is."""


def changes(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """`key.sub=value` behind an experiment file: its keys, then the values that a key can have.

    Bash takes `flow.kind=gr` for three words; other shells for one.
    """
    file, before = _file(ctx), [*(ctx.params.get("overrides") or ctx.params.get("values") or ())]
    if incomplete == "=" and before:
        return _values(file, before[-1], "")
    if len(before) > 1 and before[-1] == "=":
        return _values(file, before[-2], incomplete)
    key, equals, begun = incomplete.partition("=")
    if equals:
        return [(f"{key}={value}", about) for value, about in _values(file, key, begun)]
    return [(f"{name}=", about) for name, about, _ in _keys(file) if name.startswith(incomplete)]


def kinds(incomplete: str) -> list[Offer]:
    """The experiments that `flowsim new` prints."""
    return [(name, about) for name, about in templates.listed().items() if name.startswith(incomplete)]


def papers(incomplete: str) -> list[Offer]:
    """The papers of the gallery."""
    return [(paper.name, paper.title) for paper in gallery.papers() if paper.name.startswith(incomplete)]


def _file(ctx: typer.Context) -> dict[str, Any]:
    """The experiment that the command line names, as far as it can be read: a file's, a template's or a paper's."""
    path, kind, name = (ctx.params.get(key) for key in ("experiment", "kind", "name"))
    try:
        if name is not None:
            path = gallery.paper(name).experiment
        if path is not None:
            return parse(read_text(path), str(path)).data
        return parse(templates.text(kind), kind).data if kind in templates.listed() else {}
    except Exception:  # half-written, or not there: a shell is no place for messages
        return {}


def _values(file: dict[str, Any], key: str, begun: str) -> list[Offer]:
    found: dict[str, str] = {}
    for name, _, annotation in _keys(file):
        if name == key:
            found |= dict(_choices(annotation))
    return [(value, about) for value, about in found.items() if value.startswith(begun)]


def _keys(file: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(key, what it is, its annotation) of every key, those of a section's kind by what the file says."""
    for name, field in Experiment.model_fields.items():
        about = field.description or ""
        written = [field.annotation, *field.metadata]
        yield name, about, written
        section = next(_sections(written), None)
        if section is not None:
            which = section.chosen(file.get(name, {})) or section.chosen({})
            yield f"{name}.kind", about, written
            inner = {} if which is None else which.model_fields
        else:
            inner = getattr(field.annotation, "model_fields", {})
        for sub, entry in inner.items():
            if sub != "kind":
                yield f"{name}.{sub}", entry.description or "", [entry.annotation, *entry.metadata]


def _sections(annotation: Any) -> Iterator[Of]:
    """Which section's one kind a field holds; a list of kinds is written as a whole."""
    for part in as_list(annotation):
        if isinstance(part, Of):
            yield part
        elif typing.get_origin(part) in (typing.Annotated, typing.Union, types.UnionType):
            yield from _sections(list(_parts(part)))


def _parts(annotation: Any) -> Iterator[Any]:
    yield from typing.get_args(annotation)
    yield from getattr(annotation, "__metadata__", ())


def _choices(annotation: Any) -> Iterator[Offer]:
    """Words that a value may be."""
    for part in as_list(annotation):
        if isinstance(part, Of):
            known: dict[str, type[Kind]] = dict(registered(part.section))
            yield from ((name, description(which)) for name, which in known.items())
        elif part is bool:
            yield from (("true", ""), ("false", ""))
        elif typing.get_origin(part) is typing.Literal:
            yield from ((str(word), "") for word in typing.get_args(part))
        elif typing.get_origin(part) in (typing.Annotated, typing.Union, types.UnionType):
            yield from _choices(list(_parts(part)))
