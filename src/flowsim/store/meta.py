"""`meta.json` as a typed record: what a run ran on, and what a reader of its files needs."""

import pathlib
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from .._files import RefusedError
from .summary import read_json

NAME = "meta.json"
_INNER = ("figures", "variables", "coordinates", "source_folder", "command")  # for programs, not for readers


class VariableMeta(BaseModel):
    """Axes after time, and attributes, of a saved probe."""

    model_config = ConfigDict(frozen=True)

    dims: tuple[str, ...] = ()
    attributes: dict[str, str] = {}


class Meta(BaseModel):
    """What `meta.json` says. Versions, device, git state and the like are kept as they are, and shown.

    **Fields:** `figures`: those that the report shows, None: the paper's; `variables`, `coordinates`: of the dataset;
    `source_folder`: where the experiment's paths start; `command`: the one that made the folder.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    figures: tuple[str | dict[str, Any], ...] | None = None
    variables: dict[str, VariableMeta] = {}
    coordinates: dict[str, list[Any]] = {}
    source_folder: str = "."
    command: str = "run"

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    def shown(self) -> dict[str, Any]:
        """What a reader of the report wants to know."""
        return {key: value for key, value in self.record().items() if key not in _INNER}

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Meta":
        """Of a run folder.

        **Raises:** `RefusedError` that names the file.
        """
        path = folder / NAME
        try:
            return cls.model_validate(read_json(path))
        except pydantic.ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()[:10]]
            raise RefusedError(f"{path}: was edited or damaged: {'; '.join(wrong)}") from None
