"""Where a finished run can be lengthened from: the state before the step that its end cut short."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from .._files import RefusedError, StoreError
from ..records import Crossing, Switch
from ..simulation import Chunk, History
from . import arrays as _arrays
from .netcdf import read_dataset
from .segments import Identity, Segments

NAME = "continuation.safetensors"


def write_continuation(folder: pathlib.Path, history: History, identity: Identity) -> None:
    """Of a run that reached its end; one that consists of a single step has none."""
    mark = history.last
    if mark.carry is None:
        return
    about = {
        "kind": "continuation",
        "identity": dataclasses.asdict(identity),
        "solver": mark.solver,
        "rows": mark.rows,
        "crossings": [dataclasses.asdict(crossing) for crossing in history.crossings[: mark.crossings]],
        "switches": [dataclasses.asdict(switch) for switch in history.switches[: mark.switches]],
        "event_evaluations": mark.event_evaluations,
    }
    _arrays.save(folder / NAME, _arrays.flatten(mark.carry), about)


def save_times_of(folder: pathlib.Path, later: np.ndarray) -> np.ndarray:
    """Those of a finished run, and of `later` times those after its end."""
    times = np.asarray(read_dataset(folder / "trajectory.nc")["time"].values, np.float64)
    return np.concatenate([times, later[later > times[-1]]])


def reopen(folder: pathlib.Path, identity: Identity, segments: Segments) -> None:
    """Make the pieces of an unfinished run of `identity` out of a finished one that differs in its end only.

    **Raises:** `StoreError` if the run cannot be lengthened.
    """
    path = folder / NAME
    if not path.exists():
        raise RefusedError(f"{path}: is missing, so that the run cannot be lengthened: run it again with the new end")
    arrays, about = _arrays.load(path, "run the experiment again with the new end")
    _refuse_other(about, identity, path)
    dataset, rows = read_dataset(folder / "trajectory.nc"), int(about["rows"])
    kept = {str(name): np.asarray(dataset[name].values[:rows]) for name in dataset if not str(name).endswith("_error")}
    time = np.asarray(dataset["time"].values[:rows], np.float64)
    nothing = {name: values[:0] for name, values in kept.items()}
    carry = [arrays[name] for name in sorted(arrays)]
    segments.create()
    switches = [Switch(**switch) for switch in about["switches"]]
    for index, switch in enumerate(switches):  # each in a piece of its own, as pieces say when the solver changes
        segments.append(index, Chunk(carry, time[:0], nothing, (), 0, None, switch.time, switch.kind), identity)
    crossings = tuple(Crossing(**crossing) for crossing in about["crossings"])
    reached = float(time[-1]) if rows else 0.0
    chunk = Chunk(carry, time, kept, crossings, about["event_evaluations"], None, reached, about["solver"])
    segments.append(len(switches), chunk, identity)


def _refuse_other(about: Any, identity: Identity, path: pathlib.Path) -> None:
    """**Raises:** `StoreError` if more than the end of the run is another."""
    if not _arrays.says(about, {"kind": "continuation"}):
        raise StoreError(f"{path}: is not what this version of flowsim writes: run the experiment again")
    stored = dict(about["identity"])
    own = dataclasses.asdict(identity)["experiment"]
    stored["experiment"] = _with(stored["experiment"], own)
    identity.refuse_other(stored, path)


def _with(stored: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The stored experiment with the values of this one where they may differ."""
    return {
        **stored,
        "flow": {**stored["flow"], "t1": own["flow"]["t1"]},
        "solver": {**stored["solver"], "max_steps": own["solver"]["max_steps"]},
        **{name: own[name] for name in ("save", "descent", "certificate") if name in own},
    }
