"""A section of an experiment file whose `kind` says which class reads it."""

import dataclasses
import warnings
from typing import Annotated, Any

from pydantic_core import PydanticCustomError, core_schema

from .base import named
from .kind import Kind, registered


class OldSpelling(FutureWarning):
    """Something is written as earlier versions wanted it: it is still read, and said."""


@dataclasses.dataclass(frozen=True)
class Of:
    """The annotation of a field that holds a kind of `section`; `default`: the kind of a mapping that names none;
    `without`: kinds that this field may not hold.

    Which kinds there are is looked up when a value is checked, so that those of plugins count.
    """

    section: str
    default: str | None = None
    without: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, type[Kind]]:
        """Name -> class of every kind that may be chosen."""
        return {name: which for name, which in registered(self.section).items() if name not in self.without}

    def chosen(self, value: Any) -> type[Kind] | None:
        """The class that reads a value, None if the value does not say it."""
        match value:
            case {"kind": "plugin"}:
                name = value.get("use")
            case dict():
                name = value.get("kind", self.default)
            case _:
                name = value
        return self.known.get(name) if isinstance(name, str) else None

    def validate(self, value: Any) -> Kind:
        """The kind's object; `logistic` is short for `{kind: logistic}`."""
        if isinstance(value, Kind) and value.section == self.section:
            return value
        value = named(value)
        if not isinstance(value, dict):
            raise PydanticCustomError("model_type", "must hold `key: value` lines")
        value = _current(self.section, value)
        known = list(self.known)
        if "kind" not in value and self.default is None:
            raise PydanticCustomError("flowsim_kind_missing", "choose one", {"known": known})
        which = self.chosen(value)
        if which is None:
            raise PydanticCustomError("flowsim_kind", "no such kind", {"known": known})
        return which.model_validate({"kind": which.model_fields["kind"].default, **value})

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value, info: value.model_dump(mode=info.mode), info_arg=True
            ),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        kinds = self.known
        names = {"type": "string", "enum": list(kinds), "description": f"Short for {{kind: …}}; {self.section}."}
        return {
            "anyOf": [
                names,
                *(self._documented(name, handler(which.__pydantic_core_schema__)) for name, which in kinds.items()),
            ]
        }

    def _documented(self, name: str, made: dict[str, Any]) -> dict[str, Any]:
        """The schema of one kind, which a mapping has to name unless it is the default one."""
        needs = made.get("required", [])
        return {
            **made,
            "required": needs if name == self.default else ["kind", *needs],
            "title": f"{self.section}: {name}",
        }


def of(section: str, default: str | None = None, without: tuple[str, ...] = ()) -> Any:
    """The type of a field that holds one kind of a section."""
    return Annotated[Kind, Of(section, default, without)]


def _current(section: str, value: dict) -> dict:
    """`{kind: plugin, use: NAME, arguments: {…}}`, as earlier versions had it, is `{kind: NAME, …}`."""
    match {"arguments": {}, **value}:
        case {"kind": "plugin", "use": str(name), "arguments": dict(arguments), **rest}:
            warnings.warn(
                f"{section}: {{kind: plugin, use: {name}}} is the old spelling; write {{kind: {name}, …}} "
                "with the arguments as fields",
                OldSpelling,
                stacklevel=2,
            )
            return {**rest, **arguments, "kind": name}
        case _:
            return value
