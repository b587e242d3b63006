"""What every section of an experiment shares: strict values, no unknown keys, short forms."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, PydanticUndefined


class Section(BaseModel):
    """A part of an experiment: frozen, strict (`"128"` and `true` are no numbers), finite, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


def about(
    text: str, default: Any = PydanticUndefined, *, example: Any = None, unit: str | None = None, **more: Any
) -> Any:
    """A field with what it is, its default, and an example where the default shows none: what an editor shows.

    **Arguments:** `unit` of a number: `1` for a pure one, `time` for the flow's, which is learning rate × steps of
    descent; `more`: of `pydantic.Field`.
    """
    shown = text if unit in (None, "1") else f"{text} Unit: {unit}."
    extra = None if unit is None else {"unit": unit}
    examples = None if example is None else [example]
    return Field(default, description=shown, examples=examples, json_schema_extra=extra, **more)


def wrong(message: str) -> PydanticCustomError:
    """An error whose message says what is allowed and what to do; what was given is added where it is shown."""
    return PydanticCustomError("flowsim", "{text}", {"text": message})


def unknown(known: Sequence[str]) -> PydanticCustomError:
    """The error for an unknown name."""
    return PydanticCustomError("flowsim_choice", "known are {words}", {"words": ", ".join(known), "known": list(known)})


def _whole(value: Any) -> Any:
    """Whole numbers may be written as floats: `1.0e9`."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value


def named(value: Any) -> Any:
    """`logistic` is short for `{kind: logistic}`."""
    return {"kind": value} if isinstance(value, str) else value


def as_tuple(value: Any, *one: type) -> Any:
    """A list as a tuple, so that a section cannot be changed, and a single one of these types as a tuple of one.

    What else it may be stays as it is, to be refused by the type of the field.
    """
    return (value,) if isinstance(value, one) else tuple(value) if isinstance(value, list) else value


def _clean(value: str) -> str:
    if any(not c.isprintable() for c in value):
        raise wrong("must not hold control characters or line breaks")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1, le=10**9)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
FilePath = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_clean)]


def bounded(value: Any) -> Any:
    """A mapping that is not too long to be checked quickly."""
    if isinstance(value, dict) and len(value) > 100:
        raise wrong("must have at most 100 entries")
    return value


Argument = bool | int | float | str
Arguments = Annotated[dict[Identifier, Argument | list[Argument]], BeforeValidator(bounded)]


@dataclasses.dataclass(frozen=True)
class Short:
    """The annotation of a field that a file may also write in a short form: what editors are told of it.

    Every validator that reads a short form stands beside one.

    **Fields:** `form`: its JSON Schema; None where one entry is short for a list of one.
    """

    form: Mapping[str, Any] | None = None

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        made = handler(schema)
        return {"anyOf": [made["items"] if self.form is None else dict(self.form), made]}


ShortKind = BeforeValidator(named)
Listed = BeforeValidator(lambda value: as_tuple(value))
