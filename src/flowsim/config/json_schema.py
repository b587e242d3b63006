"""The JSON Schema of experiment files, by which editors complete and check them."""

from typing import Any

from .overrides import ALIASES
from .schema import Experiment

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of what is registered now: of flowsim's kinds and of the plugins that are loaded.

    Every key has a description, its default, and an example where the default is none.
    """
    made = Experiment.model_json_schema(mode="validation")
    for old, new in ALIASES.items():
        made["properties"][old] = {**made["properties"][new], "deprecated": True}
    made["required"] = [name for name in made["required"] if name != "name"]  # that of the file
    return {"$schema": DIALECT, **made, "title": "flowsim experiment"}
