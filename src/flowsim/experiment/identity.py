"""What identifies a run: its metadata, and whether a checkpoint may be resumed from."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
from typing import Any

import jax

from .. import plugin
from .._version import __version__
from ..config.files import named
from ..config.schema import Experiment
from ..store import Identity

_PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "optimistix", "lineax", "optax", "numpy", "scipy")
# Variables that change results or speed. An allow-list: an environment also holds secrets.
_ENVIRONMENT = ("JAX_PLATFORMS", "JAX_ENABLE_X64", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def identity(experiment: Experiment, folder: pathlib.Path) -> Identity:
    """All that the numbers of a run depend on."""
    values = experiment.model_dump(mode="json", exclude={"figures", "notes", "name"})
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs(experiment, folder).items()}
    return Identity(values, files, {"flowsim": __version__, **versions()}, jax.devices()[0].device_kind)


def inputs(experiment: Experiment, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files that a run reads, by the name under which the experiment or the command line knows them."""
    named = {name: _file(folder / name) for name in _referenced(experiment)}
    return named | {path.name: path for path in plugin.sources()}


def _file(path: pathlib.Path) -> pathlib.Path:
    """Of a run folder, what is read of it."""
    return path / "parameters.safetensors" if path.is_dir() else path


def _referenced(experiment: Experiment) -> list[str]:
    return named(dict(experiment))


def versions() -> dict[str, str]:
    """Versions of everything that touches the numbers."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def environment() -> dict[str, Any]:
    """Machine, device and the allow-listed variables."""
    device = jax.devices()[0]
    return {
        "flowsim": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "cores": os.cpu_count(),
        "versions": versions(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    }
