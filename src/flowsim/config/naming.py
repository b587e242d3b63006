"""The name of a member of a sweep: the hash of what it is."""

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from .schema import Experiment

NOT_PART = {"sweep", "notes"}  # of what a member is
_FILES = ("path", "embedding")  # keys that name files


class Naming:
    """Names experiments whose paths start in `folder`; a file that many of them name is read once."""

    def __init__(self, folder: pathlib.Path):
        self._folder, self._digests = folder, dict[pathlib.Path, str]()

    def id(self, experiment: Experiment) -> str:
        """The hash of the resolved experiment and of the content of the files that it names."""
        data = experiment.model_dump(exclude=NOT_PART)
        files = {path: self._digest(self._folder / path) for path in _named_files(data)}
        text = json.dumps([data, files], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _digest(self, path: pathlib.Path) -> str:
        if path not in self._digests:
            file = path / "parameters.safetensors" if path.is_dir() else path  # of a run that this one starts from
            self._digests[path] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        return self._digests[path]


def _named_files(data: Any) -> Iterator[str]:
    match data:
        case Mapping():
            yield from (value for key, value in data.items() if key in _FILES and isinstance(value, str))
            inner = data.values()
        case list() | tuple():
            inner = data
        case _:
            inner = ()
    for value in inner:
        yield from _named_files(value)
