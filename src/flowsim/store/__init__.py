"""The run folder on disk: whole files or none, segments, checkpoints, one writer."""

from .._files import StoreError, write_dataset, write_json, write_text
from .claims import claims, write_claims
from .folder import SCHEMA_VERSION, RunFolder, named_parameters, summary
from .load import Run, load
from .lock import Lock
from .segments import Identity

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
