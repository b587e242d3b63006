"""What identifies a run: its metadata, and whether a checkpoint may be resumed from."""

import hashlib
import pathlib
from collections.abc import Sequence

import jax

from .. import plugin
from ..config.files import named
from ..config.schema import Experiment
from ..store import Identity, versions


def identity(experiment: Experiment, folder: pathlib.Path) -> Identity:
    """All that the numbers of a run depend on."""
    values = experiment.model_dump(mode="json", exclude={"figures", "notes", "name", "devices"})
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs(experiment, folder).items()}
    return Identity(values, files, versions(), jax.devices()[0].device_kind)


def inputs(experiment: Experiment, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files that a run reads, by the name under which the experiment or the command line knows them."""
    named = {name: _file(folder / name) for name in _referenced(experiment)}
    return named | _told_apart(plugin.files())


def _told_apart(paths: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Each by the end of its path that no other shares, mostly its name: a run may be resumed elsewhere."""
    found = {}
    for path in dict.fromkeys(paths):
        others = [other.parts for other in paths if other != path]
        taken = (n for n in range(1, len(path.parts)) if all(one[-n:] != path.parts[-n:] for one in others))
        found["/".join(path.parts[-next(taken, len(path.parts)) :])] = path
    return found


def _file(path: pathlib.Path) -> pathlib.Path:
    """Of a run folder, what is read of it."""
    return path / "parameters.safetensors" if path.is_dir() else path


def _referenced(experiment: Experiment) -> list[str]:
    return named(dict(experiment))
