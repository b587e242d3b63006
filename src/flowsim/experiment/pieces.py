"""Parts of a longer computation in its run folder, so that an interruption loses none that has ended."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..compare.methods import Outcome
from ..store import Identity, RunFolder
from .plain import read_plain, written_plain

T = TypeVar("T")
Stored = tuple[dict[str, np.ndarray], Any]


class Pieces:
    """Computes each part once: what the folder holds is read, and what is computed is put there.

    **Arguments:** `kind`: of the parts, in the names of their files.
    """

    def __init__(
        self, run: RunFolder, identity: Identity, kind: str, pack: Callable[[T], Stored], unpack: Callable[..., T]
    ):
        self._run, self._identity, self._kind = run, identity, kind
        self._pack, self._unpack = pack, unpack

    def of(self, name: str, compute: Callable[[], T]) -> T:
        """The part of this name.

        **Raises:** `StoreError` if its file is damaged or cannot be written.
        """
        stored = self._run.segments.piece(self._kind, name, self._identity)
        if stored is not None:
            return self._unpack(*stored)
        part = compute()
        self._run.segments.write_piece(self._kind, name, *self._pack(part), self._identity)
        return part


def outcomes(run: RunFolder, identity: Identity) -> Pieces:
    """What methods gave in a comparison, by method and setting."""
    return Pieces(run, identity, "outcome", _pack_outcome, _unpack_outcome)


def _pack_outcome(found: Outcome) -> Stored:
    about = {name: value for name, value in vars(found).items() if name not in ("parameters", "rows")}
    return {"parameters": found.parameters, **{f"row.{k}": v for k, v in found.rows.items()}}, written_plain(about)


def _unpack_outcome(arrays: dict[str, np.ndarray], about: Any) -> Outcome:
    rows = {name.removeprefix("row."): values for name, values in arrays.items() if name != "parameters"}
    fields = read_plain(about)
    return Outcome(parameters=arrays["parameters"], rows=rows, **{**fields, "seconds": tuple(fields["seconds"])})
