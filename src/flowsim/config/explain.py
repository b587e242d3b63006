"""From a failed validation to problems: where the value stands, what is allowed, what was given, what was meant."""

import types
import typing
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from .problems import Problem, did_you_mean, dotted, nearest, shortened
from .schema import Experiment
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
    for item in error.errors(include_url=False):
        path, owner = locate(item["loc"])
        yield _problem(item, path, owner, document)


def quoted(document: Document, path: Path, value: object) -> str:
    """A value as it was written."""
    if path in document.texts:
        return shortened(document.texts[path]) or "nothing"
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else shortened(value)


def _problem(item, path: Path, owner: type[BaseModel] | None, document: Document) -> Problem:
    kind, context = item["type"], item.get("ctx", {})
    place = document.place(path)
    if kind == "missing":
        return Problem(place, dotted(path), f"is missing; {_needs(owner, path)}.")
    if kind == "extra_forbidden":
        return Problem(document.key_place(path), dotted(path), f"is not a key here; {_which_key(path, owner)}")
    if kind == "union_tag_not_found":
        return Problem(place, dotted((*path, "kind")), f"is missing; {_list_kinds(owner, path)}.")
    given = quoted(document, path, item["input"])
    if kind in ("union_tag_invalid", "literal_error", "flowsim_choice"):
        tag = context["discriminator"].strip("'") if kind == "union_tag_invalid" else None
        if tag is not None and isinstance(item["input"], dict):
            path = (*path, tag)
            given = quoted(document, path, context["tag"])
        known = context.get("known") or _words(context.get("expected_tags") or context["expected"])
        clause = did_you_mean(given.strip('"'), known)
        return Problem(document.place(path), dotted(path), f"must be one of {', '.join(known)}, got {given}; {clause}"
                       if clause.startswith("did") else f"must be one of {', '.join(known)}, got {given}.")  # fmt: skip
    if kind == "string_pattern_mismatch":
        message = _PATTERNS.get(str(path[0]), "has characters that are not allowed")
    elif kind == "flowsim":
        message = context["text"]
    else:
        message = _ALLOWED[kind].format(**context) if kind in _ALLOWED else item["msg"].lower()
    return Problem(place, dotted(path), f"{message}, got {given}.")


def _words(listed: str) -> list[str]:
    """Pydantic lists the allowed words as `'a', 'b' or 'c'`."""
    return [word.strip(" '") for word in listed.replace(" or ", ", ").split(",")]


def locate(loc: Path) -> tuple[Path, type[BaseModel] | None]:
    """The path in the file of a location in the schema, and the section that owns its last key.

    The two differ where a section has several kinds: the schema's location then also names the kind.
    """
    path: list[str | int] = []
    current, owner = Experiment, None
    for part in loc:
        members = _members(current)
        if len(members) > 1 and part in (tags := {tag: m for m in members for tag in _tags(m)}):
            current = tags[part]
            continue
        path.append(part)
        if isinstance(part, int):
            current = typing.get_args(_bare(current))[0]
            continue
        owner = members[0] if len(members) == 1 else None
        field = owner.model_fields.get(part) if owner is not None else None
        current = field.annotation if field is not None else None
    return tuple(path), owner


def _bare(annotation):
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _members(annotation) -> list[type[BaseModel]]:
    """The sections that an annotation allows."""
    bare = _bare(annotation)
    options = typing.get_args(bare) if typing.get_origin(bare) in (typing.Union, types.UnionType) else (bare,)
    return [m for m in map(_bare, options) if isinstance(m, type) and issubclass(m, BaseModel)]


def _tags(section: type[BaseModel]) -> tuple[str, ...]:
    """The words by which a section is chosen among its kinds: those of its first or only Literal."""
    for name in ("kind", "spacing"):
        if name in section.model_fields:
            return typing.get_args(section.model_fields[name].annotation)
    return ()


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
        for member in _members(field.annotation):
            yield from ((name, key) for key in member.model_fields if key != "kind")


def _needs(owner: type[BaseModel] | None, path: Path) -> str:
    if owner is None or path[-1] not in owner.model_fields:
        return "give it"
    members = _members(owner.model_fields[path[-1]].annotation)
    if not members:
        return "give it a value"
    if len(members) > 1:
        return _list_kinds(owner, path)
    required = [name for name, field in members[0].model_fields.items() if field.is_required()]
    return f"give it {{{', '.join(required)}}}"


def _list_kinds(owner: type[BaseModel] | None, path: Path) -> str:
    annotation = owner.model_fields[path[-1]].annotation if owner and path[-1] in owner.model_fields else None
    if isinstance(path[-1], int) and owner is not None:
        annotation = typing.get_args(owner.model_fields[str(path[-2])].annotation)[0]
    return f"choose one of {', '.join(tag for member in _members(annotation) for tag in _tags(member))}"
