"""The runs of a larger computation, each kept in its folder as it goes, so that an interruption loses none."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..certificate import Certificate
from ..result import Result, assemble
from ..simulation import Prepared
from ..simulation import run as integrate
from ..store import Identity, Recorder, RunFolder
from .pieces import Pieces
from .plain import read_plain, written_plain


class Kept:
    """Parts of a run folder, by name: integrations with their segments and checkpoints, and their certificates."""

    def __init__(self, home: RunFolder, identity: Identity):
        self._home, self._identity = home, identity

    def result(self, name: str, prepared: Prepared, *, certified: bool) -> Result:
        """Integrate, or read what was integrated before and go on from there.

        **Raises:** `StoreError` if a file is damaged or cannot be written.
        """
        who = dataclasses.replace(self._identity, experiment={**self._identity.experiment, "part": name})
        segments = self._home.segments.part(name)
        segments.create()
        result = assemble(prepared, integrate(prepared, Recorder(segments, who)))
        if not certified:
            return result
        certificates = Pieces(self._home, self._identity, "certificate", _pack, _unpack)
        return result.certified(certificates.of(name, lambda: result.certificate))


def _pack(certificate: Certificate) -> tuple[dict[str, np.ndarray], Any]:
    about = {field.name: getattr(certificate, field.name) for field in dataclasses.fields(certificate)}
    arrays = {name: np.asarray(values) for name, values in about.pop("probe_errors").items()}
    return arrays, written_plain({k: dict(v) if isinstance(v, Mapping) else v for k, v in about.items()})


def _unpack(arrays: dict[str, np.ndarray], about: Any) -> Certificate:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in read_plain(about).items()}
    return Certificate(probe_errors=arrays, **fields)
