"""The run folder on disk: whole files or none, segments, checkpoints, one writer."""

from .._files import StoreError, write_dataset, write_json, write_text
from ._claims import claims, write_claims
from ._folder import SCHEMA_VERSION, RunFolder, named_parameters, summary
from ._load import Run, load
from ._lock import Lock
from ._segments import Identity

__all__ = [
    "SCHEMA_VERSION",
    "Identity",
    "Lock",
    "Run",
    "RunFolder",
    "StoreError",
    "claims",
    "load",
    "named_parameters",
    "summary",
    "write_claims",
    "write_dataset",
    "write_json",
    "write_text",
]
