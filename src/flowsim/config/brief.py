"""A resolved experiment as one would write it: entries of lists without what they are by default."""

from collections.abc import Mapping
from typing import Any

from .explain import locate


def brief(data: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of a file; where one is a list of mappings, these without their defaults.

    Entries of kinds that are not known here, as those of plugins, stay as they are.
    """
    return {name: _entries(name, value, data) if isinstance(value, list) else value for name, value in data.items()}


def _entries(name: str, entries: list[Any], data: Mapping[str, Any]) -> list[Any]:
    return [
        _given(entry, locate((name, i, "kind"), dict(data))[1]) if isinstance(entry, Mapping) else entry
        for i, entry in enumerate(entries)
    ]


def _given(entry: Mapping[str, Any], owner: Any) -> dict[str, Any]:
    fields = {} if owner is None else owner.model_fields
    usual = {key: field.get_default(call_default_factory=True) for key, field in fields.items()
             if key != "kind" and not field.is_required()}  # fmt: skip
    if "name" in usual and "kind" in entry:
        usual["name"] = entry["kind"]  # an event without a name has that of its kind
    return {key: value for key, value in entry.items() if key not in usual or value != usual[key]}
