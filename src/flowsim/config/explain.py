"""From a failed validation to problems: where the value stands, what is allowed, what was given, what was meant."""

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .kind import registered
from .problems import Problem, did_you_mean, dotted, nearest, shortened
from .schema import Experiment
from .sections import Of
from .yaml_source import Document, Path

_ALLOWED = {
    "greater_than": "must be > {gt:g}",
    "greater_than_equal": "must be >= {ge:g}",
    "less_than": "must be < {lt:g}",
    "less_than_equal": "must be <= {le:g}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode text",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "model_type": "must hold `key: value` lines",
    "model_attributes_type": "must hold `key: value` lines",
}
_PATTERNS = {
    "name": "must be letters, digits, `_`, `-` and single dots, as it names a folder",
    "events": "must be letters, digits and `_`, and start with a letter",
}


def problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    """One problem for each thing that is wrong."""
    found = error.errors(include_url=False)
    misspelt = set(_meant_instead(found, document.data))
    for item in found:
        if item["type"] == "too_short" and any(one["loc"][:-1] == item["loc"] for one in found):
            continue  # where pydantic counts the items that are right: that depends on the order of the annotations
        path, owner = locate(item["loc"], document.data)
        if item["type"] in ("missing", "flowsim_missing") and path in misspelt:
            continue  # said where it is misspelt
        yield _problem(item, path, owner, document)


def _meant_instead(found: list[Any], data: Any) -> Iterator[Path]:
    """The keys that unknown ones beside them were probably meant to be."""
    for item in found:
        if item["type"] == "extra_forbidden":
            path, owner = locate(item["loc"], data)
            near = None if owner is None else nearest(str(path[-1]), list(owner.model_fields))
            yield from [] if near is None else [(*path[:-1], near)]


def quoted(document: Document, path: Path, value: object) -> str:
    """A value as it was written."""
    if path in document.texts:
        return shortened(document.texts[path]) or "nothing"
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return shortened(value)


def _problem(item, path: Path, owner: type[BaseModel] | None, document: Document) -> Problem:
    kind, context = item["type"], item.get("ctx", {})
    place = document.place(path)
    if kind == "missing":
        return Problem(place, dotted(path), f"is missing; {_needs(owner, path)}.")
    if kind == "extra_forbidden":
        return Problem(document.key_place(path), dotted(path), f"is not a key here; {_which_key(path, owner)}")
    if kind == "flowsim_missing":
        return Problem(place, dotted(path), f"is missing; choose one of {', '.join(context['known'])}.")
    if kind == "flowsim_kind_missing":
        return Problem(place, dotted((*path, "kind")), f"is missing; choose one of {', '.join(context['known'])}.")
    given = quoted(document, path, item["input"])
    if kind in ("union_tag_invalid", "literal_error", "flowsim_choice", "flowsim_kind"):
        tag = {"union_tag_invalid": "spacing", "flowsim_kind": "kind"}.get(kind)
        if kind == "flowsim_kind" and isinstance(item["input"], dict) and item["input"].get("kind") == "plugin":
            tag = "use"  # the old spelling
        if tag is not None:
            written = (*path, tag) in document.values or isinstance(item["input"], dict)
            path = (*path, tag)
            given = quoted(document, path if written else path[:-1], _tag(item))
        known = context.get("known") or _words(context.get("expected_tags") or context["expected"])
        clause = did_you_mean(given.strip('"'), known)
        remedy = f"; {clause}" if clause.startswith("did") else "."
        if kind == "flowsim_kind" and remedy == ".":
            remedy = "; a kind of your own comes by --plugin FILE."
        return Problem(
            document.place(path), dotted(path), f"must be one of {', '.join(known) or 'none'}, got {given}{remedy}"
        )
    if kind == "string_pattern_mismatch":
        message = _PATTERNS.get(str(path[0]), "has characters that are not allowed")
    elif kind == "flowsim":
        message = context["text"]
    else:
        message = _ALLOWED[kind].format(**context) if kind in _ALLOWED else item["msg"].lower()
    return Problem(place, dotted(path), f"{message}, got {given}.")


def _tag(item) -> object:
    """The word that names no kind. It is not in the error's context, which has to be valid Unicode text."""
    given = item["input"]
    return item.get("ctx", {}).get("tag", given.get("kind") if isinstance(given, dict) else given)


def _words(listed: str) -> list[str]:
    """Pydantic lists the allowed words as `'a', 'b' or 'c'`."""
    return [word.strip(" '") for word in listed.replace(" or ", ", ").split(",")]


def locate(loc: Path, data: Any) -> tuple[Path, type[BaseModel] | None]:
    """The path in the file of a location in the schema, and the section that owns its last key.

    **Arguments:** `data`: the file's, which says of which kind a section is.
    """
    path: list[str | int] = []
    current: Any = Experiment
    owner = None
    for part in loc:
        model = _model(current, data)
        if isinstance(part, str) and part in _tags(current) and part not in getattr(model, "model_fields", {}):
            continue  # the schema's name of one of several forms of a section
        path.append(part)
        if isinstance(part, int):
            owner = None
            current = next((a for a in typing.get_args(_bare(current)) if a is not Ellipsis), None)
            data = data[part] if isinstance(data, list | tuple) and part < len(data) else None
        else:
            owner = model
            field = model.model_fields.get(part) if model is not None else None
            current = None if field is None else _annotation(field)
            data = data.get(part) if isinstance(data, dict) else None
    return tuple(path), owner


def _annotation(field: FieldInfo) -> Any:
    return typing.Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _bare(annotation: Any) -> Any:
    """An annotation without what is annotated, and without `| None`."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
            options = [option for option in typing.get_args(annotation) if option is not type(None)]
            if len(options) != 1:
                return annotation
            annotation = options[0]
        else:
            return annotation


def _of(annotation: Any) -> Of | None:
    """The mark of a section of kinds."""
    if typing.get_origin(annotation) is typing.Annotated:
        marks = [mark for mark in typing.get_args(annotation)[1:] if isinstance(mark, Of)]
        return marks[0] if marks else _of(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((mark for option in typing.get_args(annotation) if (mark := _of(option))), None)
    return None


def _model(annotation: Any, data: Any) -> type[BaseModel] | None:
    """The class that reads `data`."""
    if (mark := _of(annotation)) is not None:
        return mark.chosen(data)
    members = _members(annotation)
    if len(members) > 1:
        spacing = data.get("spacing", "given" if "times" in data else "log") if isinstance(data, dict) else None
        return next((m for m in members if spacing in typing.get_args(m.model_fields["spacing"].annotation)), None)
    return members[0] if members else None


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation allows."""
    bare = _bare(annotation)
    options = typing.get_args(bare) if typing.get_origin(bare) in (typing.Union, types.UnionType) else (bare,)
    return [m for m in map(_bare, options) if isinstance(m, type) and issubclass(m, BaseModel)]


def _tags(annotation: Any) -> tuple[str, ...]:
    """The words by which pydantic tells several forms of a section apart."""
    members = _members(annotation)
    if len(members) < 2:
        return ()
    return tuple(tag for member in members for tag in typing.get_args(member.model_fields["spacing"].annotation))


def _which_key(path: Path, owner: type[BaseModel] | None) -> str:
    """The key that was meant: one of this section, or else one of another."""
    word = str(path[-1])
    here = did_you_mean(word, [] if owner is None else list(owner.model_fields))
    if here.startswith("did"):
        return here
    everywhere = {key: f"{name}.{key}" for name, key in _all_keys() if name != path[0]}
    near = nearest(word, list(everywhere))
    return here if near is None else f"did you mean {everywhere[near]}?"


def _all_keys() -> Iterator[tuple[str, str]]:
    for name, field in Experiment.model_fields.items():
        mark = _of(_annotation(field))
        members = _members(field.annotation) if mark is None else list(registered(mark.section).values())
        for member in members:
            yield from ((name, key) for key in member.model_fields if key not in ("kind", *Experiment.model_fields))


def _needs(owner: type[BaseModel] | None, path: Path) -> str:
    field = None if owner is None else owner.model_fields.get(str(path[-1]))
    if field is None:
        return "give it"
    mark = _of(_annotation(field))
    if mark is not None:
        which = mark.chosen({})
        if which is None:
            return f"choose one of {', '.join(registered(mark.section))}"
        return f"give it {{{', '.join(name for name, inner in which.model_fields.items() if inner.is_required())}}}"
    return "give it a value"
