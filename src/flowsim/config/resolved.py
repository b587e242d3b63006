"""An experiment with every default written out, as YAML that loads back to the same experiment."""

import enum
import io
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from .schema import Experiment


def resolved_yaml(experiment: Experiment) -> str:
    """The whole experiment as YAML."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.width = 100
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.allow_unicode = True
    out = io.StringIO()
    writer.dump(_plain(experiment), out)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Lists for tuples; the kind first; nothing for what is not given, unless something is the default."""
    match value:
        case BaseModel():
            fields = {name: (getattr(value, name), info.default) for name, info in type(value).model_fields.items()}
            return _plain(
                {name: one for name, (one, default) in fields.items() if one is not None or default is not None}
            )
        case dict():
            ordered = sorted(value.items(), key=lambda entry: entry[0] not in ("kind", "spacing"))
            return {key: _plain(item) for key, item in ordered}
        case list() | tuple():
            return [_plain(item) for item in value]
        case enum.Enum():
            return value.value
        case _:
            return value
