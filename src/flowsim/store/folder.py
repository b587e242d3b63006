"""The run folder: what it holds, and how a finished run is written into it."""

import dataclasses
import math
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save_file

from .. import _tree
from .._files import StoreError, write, write_dataset, write_json, write_text
from ..descent import Descent
from ..models import CooccurrenceTransformer
from ..records import EventRecord
from ..result import Result
from .segments import CHECKPOINT, SEGMENTS, Segments

SCHEMA_VERSION = 1
_LEFTOVERS = (".*.tmp", "*/.*.tmp")  # of a process that was killed while it wrote
_WRITTEN = (
    "meta.json", CHECKPOINT, SEGMENTS, "summary.json", "trajectory.nc", "parameters.safetensors", "report.html",
    "claims.json", "experiment.yaml", "resolved.yaml", "discrete", "figures", *_LEFTOVERS,
)  # fmt: skip


class RunFolder:
    """Paths and writers of one run folder."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.segments = Segments(path)

    def create(self, *, replace: bool = False) -> None:
        """Make the folder; one that holds a run is not touched unless `replace`.

        **Raises:** `StoreError` if it holds something, or cannot be made.
        """
        try:
            if self.path.exists() and any(self.path.iterdir()) and not replace:
                raise StoreError(
                    f"{self.path}: already exists and is not empty; choose another --out, continue it with "
                    "`flowsim run --resume`, or replace it with --force"
                )
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be made: {error.strerror}; choose another --out") from error

    def prepare(self, *, fresh: bool) -> None:
        """Make room for segments. A fresh run first removes what an earlier one wrote, and nothing else.

        `meta.json` goes first: without it nobody takes the rest for a run.

        **Raises:** `StoreError` if that is not allowed.
        """
        try:
            for pattern in _WRITTEN if fresh else _LEFTOVERS:
                for path in self.path.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            self.segments.create()
        except OSError as error:
            raise StoreError(f"{error.filename}: cannot be changed: {error.strerror}; choose another --out") from error

    def finished(self) -> bool:
        """Has everything been written? Only the pieces of the run may still be there."""
        return (self.path / "summary.json").exists() and not self.segments.started()

    def write_inputs(self, experiment: str, resolved: str, meta: Mapping[str, Any]) -> None:
        """The experiment as given, with every default, and what it ran on."""
        write_text(self.path / "experiment.yaml", experiment)
        write_text(self.path / "resolved.yaml", resolved)
        write_json(self.path / "meta.json", meta)

    def write_trajectory(self, dataset: Any, name: str = "trajectory.nc") -> None:
        """A dataset as netCDF 4."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        write_dataset(path, dataset)

    def write_parameters(self, model: Any) -> None:
        """Final parameters by name, lifted back from any reduction."""
        arrays = named_parameters(model)
        write(self.path / "parameters.safetensors", lambda temporary: save_file(arrays, temporary))

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_json(self.path / "summary.json", summary)

    def write_descents(self, descents: Sequence[Descent], drifts: Sequence[Any] = ()) -> None:
        """**Arguments:** `drifts`: for each descent a dataset of its distance to the flow, or None."""
        for index, descent in enumerate(descents):
            dataset = descent.trajectory.dataset().assign_attrs(label=descent.label, clock=descent.clock)
            drift = drifts[index] if drifts else None
            if drift is not None:
                dataset = dataset.merge(drift).assign_attrs({**dataset.attrs, **drift.attrs})
            self.write_trajectory(dataset, f"discrete/{index:02d}.nc")

    def finish(self) -> None:
        """The run is one set of whole files now; its pieces can go."""
        self.segments.remove()


def named_parameters(model: Any) -> dict[str, np.ndarray]:
    """Every array of a model by its path: `W`, `W_V`, `W_K`, `W_Q`, `a` for the paper's."""
    leaves = zip(_tree.paths(model), jax.tree.leaves(model), strict=True)
    arrays = {
        name: np.require(leaf, requirements="C") for name, leaf in leaves if isinstance(leaf, jax.Array | np.ndarray)
    }
    if isinstance(model, CooccurrenceTransformer):
        arrays.pop("embedding", None)  # given by the task, not a parameter
    return arrays


def summary(name: str, result: Result, *, certified: bool) -> dict[str, Any]:
    """`summary.json`: what happened, as plain data.

    **Arguments:** `certified`: include the certificate (computing it if it has not been).
    """
    certificate = result.certificate if certified else None
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "status": result.status.kind,
        "message": result.status.message,
        "remedy": result.status.remedy,
        "complete": result.status.ok,
        "events": {key: _event(record) for key, record in result.events.items()},
        "final": {key: _number(value) for key, value in result.final.items()},
        "certificate": None if certificate is None else _certificate(certificate),
        "solver": dataclasses.asdict(result.solver),
    }


def _event(record: EventRecord) -> dict[str, Any]:
    first = record.crossings[0] if record.crossings else None
    values = {} if first is None else {key: _number(value) for key, value in first.values.items()}
    return {
        "description": record.description,
        "time": record.time,
        "times": record.times,
        "directions": [crossing.direction for crossing in record.crossings],
        "uncertainty": record.uncertainty,
        **values,
    }


def _certificate(certificate: Any) -> dict[str, Any]:
    return {
        "relative_error": _number(certificate.relative_error),
        "energy_identity": _number(certificate.energy_identity),
        "invariants": {key: _number(value) for key, value in certificate.invariants.items()},
        "rounding_floor": _number(certificate.rounding_floor),
        "method": certificate.method,
        "vector_field_evaluations": certificate.evaluations,
        "warnings": list(certificate.warnings),
    }


def _number(value: float) -> float | None:
    """JSON has no infinity and no NaN: what is not finite is null."""
    return float(value) if math.isfinite(value) else None
