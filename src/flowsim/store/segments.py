"""A run in pieces: one immutable segment a chunk, and one checkpoint to resume from; of an ensemble, one a member.

Every piece says what it is: its kind, its index or seed, and a digest of the run's identity. A whole file that lies in
the place of another, or comes from another run, is refused like a damaged one.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._files import RefusedError, StoreError, is_temporary, make_folder
from ..records import Crossing, Status
from ..simulation import Carry, Chunk, History, Methods, Plan, begin, start
from . import arrays as _arrays

SEGMENTS, CHECKPOINT = "segments", "checkpoint.safetensors"
_PIECE = re.compile(r"(\d{6,}|[a-z]+-[\w.+=-]+)\.safetensors|experiment\.yaml")
_PART = re.compile(r"part-[\w.+=-]+")
_AGAIN = "start the run again with --force"


@dataclasses.dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be resumed.

    **Fields:** `experiment`: its values by dotted key; `files`: digests of the files that it reads; `versions`: of all
    packages that touch the numbers; `device`: kind of the device, whose rounding may differ from another's.
    """

    experiment: dict[str, Any]
    files: dict[str, str]
    versions: dict[str, str]
    device: str

    def digest(self) -> str:
        """Of all fields, for the pieces of the run."""
        return _digest(dataclasses.asdict(self))

    def refuse_other(self, stored: Any, path: pathlib.Path) -> None:
        """**Raises:** `RefusedError` that shows every difference."""
        there, here = _flat(stored), _flat(json.loads(json.dumps(dataclasses.asdict(self))))
        differ = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
        if differ:
            said = "; ".join(_difference(key, there.get(key), here.get(key)) for key in differ)
            raise RefusedError(
                f"{path}: the run cannot be resumed as another experiment or version: {said}: undo that, or {_AGAIN}"
            )


def _difference(key: str, there: Any, here: Any) -> str:
    file = key.removeprefix("files.")
    if file != key and there and here:
        return f"{file} was edited after the run began"
    return f"{key}: the run has {there!r}, this one {here!r}"


def _digest(identity: Any) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


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
        make_folder(self._segments)

    def part(self, name: str) -> "Segments":
        """Those of a run that is a part of this one."""
        return Segments(self._segments / f"part-{name}")

    def append(self, index: int, chunk: Chunk, identity: Identity) -> None:
        """Write a chunk: first its segment, then the checkpoint that counts on it."""
        arrays = {"time": chunk.times, **{f"probe.{k}": v for k, v in chunk.rows.items()}}
        about = {
            **_label("segment", index, identity.digest()),
            "crossings": [dataclasses.asdict(c) for c in chunk.crossings],
            "event_evaluations": chunk.event_evaluations,
            "status": None if chunk.status is None else dataclasses.asdict(chunk.status),
            "reached": chunk.reached,
            "solver": chunk.solver,
        }
        _arrays.save(self._path(index), arrays, about)
        self._checkpoint_of(_arrays.flatten(chunk.carry), index + 1, identity, chunk.solver)

    def count(self) -> int:
        """How many segments the checkpoint counts on; later ones are leftovers of a crash and are written again."""
        return self._read_checkpoint()[1]["segments"] if self._checkpoint.exists() else 0

    def restore(self, methods: Methods, identity: Identity, history: History) -> None:
        """Fill a history with what is on disk.

        **Raises:** `StoreError` if a file is damaged or missing, or if the run is of another experiment.
        """
        if not self._checkpoint.exists():
            return
        arrays, about = self._read_checkpoint()
        identity.refuse_other(about["identity"], self._checkpoint)
        with _well_formed(self._checkpoint):
            plan = methods.named(about["solver"])
            carry = _arrays.unflatten(arrays, _outline(plan), self._checkpoint)
        for index in range(about["segments"]):
            history.add(dataclasses.replace(self.read(index, identity.digest()), carry=carry))

    def read(self, index: int, run: str) -> Chunk:
        """**Arguments:** `run`: digest of the identity of the run that the segment must be of."""
        path = self._path(index)
        arrays, about = _arrays.load(path, _AGAIN)
        _refuse_other_piece(about, _label("segment", index, run), path, _AGAIN)
        with _well_formed(path):
            rows = {k.removeprefix("probe."): v for k, v in arrays.items() if k != "time"}
            crossings = tuple(Crossing(**c) for c in about["crossings"])
            status = None if about["status"] is None else Status(**about["status"])
            where = (about["reached"], about["solver"])
            return Chunk(None, arrays["time"], rows, crossings, about["event_evaluations"], status, *where)

    def open_members(self, identity: Identity) -> None:
        """Make ready for an ensemble, whose pieces are whole members: started anew, or resumed.

        **Raises:** `StoreError` if the members there are of another experiment.
        """
        if self._checkpoint.exists():
            identity.refuse_other(self._read_checkpoint()[1]["identity"], self._checkpoint)
        else:
            self._checkpoint_of({}, 0, identity, "")

    def write_piece(
        self, kind: str, name: str | int, arrays: Mapping[str, np.ndarray], about: Any, identity: Identity
    ) -> None:
        """A part that has ended, whole or not at all: a member of an ensemble by its seed, a method by its name."""
        _arrays.save(self._piece(kind, name), arrays, {**_label(kind, name, identity.digest()), "about": about})

    def piece(self, kind: str, name: str | int, identity: Identity) -> tuple[dict[str, np.ndarray], Any] | None:
        """What `write_piece` wrote, None if that part has not ended.

        **Raises:** `StoreError` if the file is damaged, or of another part or run.
        """
        path = self._piece(kind, name)
        if not path.exists():
            return None
        remedy = "delete it, and --resume computes it again"
        arrays, about = _arrays.load(path, remedy)
        _refuse_other_piece(about, _label(kind, name, identity.digest()), path, remedy)
        return arrays, about["about"]

    def readable(self) -> tuple[list[Chunk], list[str]]:
        """Every segment that can be read, up to the first that cannot, with what was wrong with it."""
        chunks: list[Chunk] = []
        if not self._checkpoint.exists():
            return [], []
        try:
            _, about = self._read_checkpoint()
            run = _digest(about["identity"])
            for index in range(about["segments"]):
                chunks.append(self.read(index, run))
        except StoreError as error:
            return chunks, [str(error)]
        return chunks, []

    def remove(self) -> None:
        """After the trajectory is written as one file, the pieces are no longer needed.

        The checkpoint goes first: segments that nothing counts on are leftovers, a checkpoint without them is damage.
        """
        self._checkpoint.unlink(missing_ok=True)
        if self._segments.is_dir() and not self._segments.is_symlink():
            for path in self._segments.iterdir():
                if path.is_dir() and not path.is_symlink() and _PART.fullmatch(path.name):
                    Segments(path).remove()
                    with contextlib.suppress(OSError):
                        path.rmdir()
                elif is_piece(path.name) or is_temporary(path.name):
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds something else: that stays
                self._segments.rmdir()

    def started(self) -> bool:
        return self._checkpoint.exists()

    def _checkpoint_of(self, arrays: Mapping[str, np.ndarray], segments: int, identity: Identity, solver: str) -> None:
        about = {"kind": "checkpoint", "segments": segments, "identity": dataclasses.asdict(identity), "solver": solver}
        _arrays.save(self._checkpoint, arrays, about)

    def _read_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, about = _arrays.load(self._checkpoint, _AGAIN)
        if not _arrays.says(about, {"kind": "checkpoint"}) or type(about.get("segments")) is not int:
            raise RefusedError(f"{self._checkpoint}: is not a checkpoint of this version of flowsim: {_AGAIN}")
        return arrays, about

    def _piece(self, kind: str, name: str | int) -> pathlib.Path:
        return self._segments / f"{kind}-{name}.safetensors"

    def _path(self, index: int) -> pathlib.Path:
        return self._segments / f"{index:06d}.safetensors"


def _outline(plan: Plan) -> Carry:
    """A carry of the plan, for what a checkpoint has to hold; of a run on several devices also for where it lies."""
    spread = any(isinstance(x, jax.Array) and len(x.sharding.device_set) > 1 for x in jax.tree.leaves(plan))
    return start(plan) if spread else eqx.filter_eval_shape(begin, plan)


def is_piece(name: str) -> bool:
    """Is this a name that `Segments` gives to a file?"""
    return _PIECE.fullmatch(name) is not None


def _label(kind: str, name: str | int, run: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "run": run}


def _refuse_other_piece(about: Any, wanted: dict[str, Any], path: pathlib.Path, remedy: str) -> None:
    if not _arrays.says(about, wanted):
        raise RefusedError(f"{path}: is not {wanted['kind']} {wanted['name']} of this run: {remedy}")


@contextlib.contextmanager
def _well_formed(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(f"{path}: does not hold what this version of flowsim writes: {_AGAIN}") from error
