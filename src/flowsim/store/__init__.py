"""The run folder on disk: whole files or none, segments, checkpoints, one writer."""

from .._files import RefusedError, StoreError, write_dataset, write_json, write_text
from .claims import claims, write_claims
from .continuation import reopen, save_times_of, write_continuation
from .folder import RunFolder, named_parameters
from .load import Run, load
from .lock import Lock
from .meta import Meta
from .netcdf import read_dataset
from .replacement import resumable
from .segments import Identity, Segments
from .summary import (
    SCHEMA_VERSION,
    CertificateSummary,
    DescentOrder,
    DescentRun,
    DescentSummary,
    EventSummary,
    FinalState,
    SolverSummary,
    Summary,
    read_json,
)

__all__ = [
    "SCHEMA_VERSION",
    "CertificateSummary",
    "DescentOrder",
    "DescentRun",
    "DescentSummary",
    "EventSummary",
    "FinalState",
    "Identity",
    "Lock",
    "Meta",
    "RefusedError",
    "Run",
    "RunFolder",
    "Segments",
    "SolverSummary",
    "StoreError",
    "Summary",
    "claims",
    "load",
    "named_parameters",
    "read_dataset",
    "read_json",
    "reopen",
    "resumable",
    "save_times_of",
    "write_claims",
    "write_continuation",
    "write_dataset",
    "write_json",
    "write_text",
]
