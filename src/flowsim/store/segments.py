"""A run in pieces: one immutable segment a chunk, and one checkpoint to go on from; of an ensemble, one a member."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from .._files import StoreError
from ..records import Crossing, Status
from ..simulation import Chunk, History, Methods, begin
from . import arrays as _arrays

SEGMENTS, CHECKPOINT = "segments", "checkpoint.safetensors"


@dataclasses.dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be gone on with.

    **Fields:** `experiment`: its values by dotted key; `files`: digests of the files that it reads; `versions`: of all
    packages that touch the numbers; `device`: kind of the device, whose rounding may differ from another's.
    """

    experiment: dict[str, Any]
    files: dict[str, str]
    versions: dict[str, str]
    device: str

    def refuse_other(self, stored: dict, path: pathlib.Path) -> None:
        """**Raises:** `StoreError` that shows every difference."""
        there, here = _flat(stored), _flat(json.loads(json.dumps(dataclasses.asdict(self))))
        differ = [
            f"{key}: the run has {there.get(key)!r}, this one {here.get(key)!r}"
            for key in sorted({*there, *here})
            if there.get(key) != here.get(key)
        ]
        if differ:
            raise StoreError(f"{path}: cannot go on with another experiment or version: " + "; ".join(differ))


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{prefix}.{key}".lstrip(".")).items()}


class Segments:
    """The segments and the checkpoint of one run folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self._segments = folder / SEGMENTS
        self._checkpoint = folder / CHECKPOINT

    def create(self) -> None:
        self._segments.mkdir(parents=True, exist_ok=True)

    def append(self, index: int, chunk: Chunk, identity: Identity) -> None:
        """Write a chunk: first its segment, then the checkpoint that counts on it."""
        arrays = {"time": chunk.times, **{f"probe.{k}": v for k, v in chunk.rows.items()}}
        about = {
            "crossings": [dataclasses.asdict(c) for c in chunk.crossings],
            "event_evaluations": chunk.event_evaluations,
            "status": None if chunk.status is None else dataclasses.asdict(chunk.status),
            "reached": chunk.reached,
            "solver": chunk.solver,
        }
        _arrays.save(self._path(index), arrays, about)
        about = {"segments": index + 1, "identity": dataclasses.asdict(identity), "solver": chunk.solver}
        _arrays.save(self._checkpoint, _arrays.flatten(chunk.carry), about)

    def count(self) -> int:
        """How many segments the checkpoint counts on; later ones are leftovers of a crash and are written again."""
        if not self._checkpoint.exists():
            return 0
        return int(_arrays.load(self._checkpoint)[1]["segments"])

    def restore(self, methods: Methods, identity: Identity, history: History) -> None:
        """Fill a history with what is on disk.

        **Raises:** `StoreError` if a file is damaged or missing, or if the run is of another experiment.
        """
        if not self._checkpoint.exists():
            return
        arrays, about = _arrays.load(self._checkpoint)
        identity.refuse_other(about["identity"], self._checkpoint)
        plan = methods.named(about["solver"])
        carry = _arrays.unflatten(arrays, eqx.filter_eval_shape(begin, plan), self._checkpoint)
        for index in range(about["segments"]):
            history.add(dataclasses.replace(self.read(index), carry=carry))

    def read(self, index: int) -> Chunk:
        arrays, about = _arrays.load(self._path(index))
        rows = {k.removeprefix("probe."): v for k, v in arrays.items() if k != "time"}
        crossings = tuple(Crossing(**c) for c in about["crossings"])
        status = None if about["status"] is None else Status(**about["status"])
        where = (about["reached"], about["solver"])
        return Chunk(None, arrays["time"], rows, crossings, about["event_evaluations"], status, *where)

    def open_members(self, identity: Identity) -> None:
        """Make ready for an ensemble, whose pieces are whole members: started anew, or gone on with.

        **Raises:** `StoreError` if the members there are of another experiment.
        """
        if self._checkpoint.exists():
            identity.refuse_other(_arrays.load(self._checkpoint)[1]["identity"], self._checkpoint)
        else:
            _arrays.save(self._checkpoint, {}, {"segments": 0, "identity": dataclasses.asdict(identity)})

    def write_member(self, seed: int, arrays: Mapping[str, np.ndarray], about: Any) -> None:
        """One member that has ended, whole or not at all."""
        _arrays.save(self._member(seed), arrays, about)

    def member(self, seed: int) -> tuple[dict[str, np.ndarray], Any] | None:
        """What `write_member` wrote, None if that seed has not ended.

        **Raises:** `StoreError` if the file is damaged.
        """
        path = self._member(seed)
        return _arrays.load(path) if path.exists() else None

    def readable(self) -> tuple[list[Chunk], list[str]]:
        """Every segment that can be read, up to the first that cannot, with what was wrong with it."""
        chunks, problems = [], []
        try:
            count = self.count()
        except StoreError as error:
            return [], [str(error)]
        for index in range(count):
            try:
                chunks.append(self.read(index))
            except StoreError as error:
                problems.append(str(error))
                break
        return chunks, problems

    def remove(self) -> None:
        """After the trajectory is written as one file, the pieces are no longer needed.

        The checkpoint goes first: segments that nothing counts on are leftovers, a checkpoint without them is damage.
        """
        self._checkpoint.unlink(missing_ok=True)
        shutil.rmtree(self._segments, ignore_errors=True)

    def started(self) -> bool:
        return self._checkpoint.exists()

    def _member(self, seed: int) -> pathlib.Path:
        return self._segments / f"seed-{seed}.safetensors"

    def _path(self, index: int) -> pathlib.Path:
        return self._segments / f"{index:06d}.safetensors"
