"""`flowsim schema`: the JSON Schema of experiment files."""

import json as json_module

from .command import command
from .output import SCHEMA_VERSION, Output


@command(plugins=True)
def schema(output: Output) -> None:
    """Print the JSON Schema of experiment files: every key with its description, default and an example.

    Editors complete and check by it. With the YAML language server, put this line first in an experiment:

    \b
      # yaml-language-server: $schema=flowsim.schema.json

    \b
    Examples:
      flowsim schema > flowsim.schema.json
      flowsim schema --plugin mine.py > mine.schema.json     with the kinds of a plugin
    """
    from ..config.json_schema import json_schema  # only this command needs it

    made = {"schema_version": SCHEMA_VERSION, **json_schema()}
    output.data(json_module.dumps(made, indent=1, ensure_ascii=False))
