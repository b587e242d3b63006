"""A run in pieces: one immutable segment a chunk, and one checkpoint to go on from."""

import dataclasses
import pathlib
from typing import Any

import equinox as eqx

from ..integrate import Carry, Chunk, Plan, start
from ..result import Crossing, Status
from . import _arrays
from ._atomic import StoreError

SEGMENTS, CHECKPOINT = "segments", "checkpoint.safetensors"


@dataclasses.dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be gone on with: experiment, precision, versions.

    **Fields:** `experiment`: digest of the resolved experiment and of every file that it reads.
    """

    experiment: str
    precision: str
    versions: dict[str, str]

    def refuse_other(self, stored: dict, path: pathlib.Path) -> None:
        """**Raises:** `StoreError` that shows every difference."""
        mine = dataclasses.asdict(self)
        differ = [
            f"{key}: the run has {stored.get(key)!r}, this one {mine[key]!r}"
            for key in mine
            if stored.get(key) != mine[key]
        ]
        if differ:
            raise StoreError(f"{path}: cannot go on with another experiment:\n  " + "\n  ".join(differ))


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
        }
        _arrays.save(self._path(index), arrays, about)
        about = {"segments": index + 1, "identity": dataclasses.asdict(identity)}
        _arrays.save(self._checkpoint, _arrays.flatten(chunk.carry), about)

    def count(self) -> int:
        """How many segments the checkpoint counts on; later ones are leftovers of a crash and are written again."""
        if not self._checkpoint.exists():
            return 0
        return int(_arrays.load(self._checkpoint)[1]["segments"])

    def restore(self, plan: Plan, identity: Identity) -> tuple[Carry | None, list[Chunk]]:
        """Where to go on, and the chunks until there.

        **Raises:** `StoreError` if a file is damaged or missing, or if the run is of another experiment.
        """
        if not self._checkpoint.exists():
            return None, []
        arrays, about = _arrays.load(self._checkpoint)
        identity.refuse_other(about["identity"], self._checkpoint)
        carry = _arrays.unflatten(arrays, eqx.filter_eval_shape(start, plan), self._checkpoint)
        return carry, [self.read(i, carry) for i in range(about["segments"])]

    def read(self, index: int, carry: Any) -> Chunk:
        arrays, about = _arrays.load(self._path(index))
        rows = {k.removeprefix("probe."): v for k, v in arrays.items() if k != "time"}
        crossings = tuple(Crossing(**c) for c in about["crossings"])
        status = None if about["status"] is None else Status(**about["status"])
        return Chunk(carry, arrays["time"], rows, crossings, about["event_evaluations"], status)

    def readable(self) -> tuple[list[Chunk], list[str]]:
        """Every segment that can be read, up to the first that cannot, with what was wrong with it."""
        chunks, problems = [], []
        for index in range(self.count()):
            try:
                chunks.append(self.read(index, None))
            except StoreError as error:
                problems.append(str(error))
                break
        return chunks, problems

    def remove(self) -> None:
        """After the trajectory is written as one file, the pieces are no longer needed."""
        for path in sorted(self._segments.glob("*.safetensors")):
            path.unlink()
        self._segments.rmdir()
        self._checkpoint.unlink(missing_ok=True)

    def _path(self, index: int) -> pathlib.Path:
        return self._segments / f"{index:06d}.safetensors"
