"""Stored runs in Python."""

import dataclasses
import os
import pathlib

import jax
from jaxtyping import PyTree

from ._files import RefusedError
from .config import load_text
from .config.yaml_text import read_text
from .store import Run
from .store import load as load_folder


def load(path: str | os.PathLike) -> Run:
    """Read a run folder at any moment, also while it is being written.

        run = flowsim.load("runs/figure1/2026-01-31T12-00-00Z-1a2b")
        run.summary; run.dataset; run.events; run.parameters; run.model

    **Returns:** a `flowsim.store.Run`. Parameters and model are read when they are first asked for.

    **Raises:** `StoreError` if the folder is not a run folder, or if its files are damaged.
    """
    run = load_folder(pathlib.Path(path))
    return dataclasses.replace(run, blank=lambda: _blank(run)) if (run.path / "resolved.yaml").is_file() else run


def _blank(run: Run) -> PyTree:
    """The model of a run's experiment as it was before it was trained."""
    from .experiment import build, folders  # all that can be in an experiment, not needed to read numbers

    source, resolved = folders.read(run.meta.source_folder, run.path), run.path / "resolved.yaml"
    experiment = load_text(read_text(resolved), origin=str(resolved), folder=source)
    if experiment.precision == "float64" and not jax.config.read("jax_enable_x64"):
        raise RefusedError(f'{run.path}: is of float64: first write jax.config.update("jax_enable_x64", True)')
    problem = build.problem(experiment, source)
    return problem.model(problem.parameters)
