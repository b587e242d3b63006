"""The run folder on disk: whole files or none, segments, checkpoints, one writer."""

from .._files import RefusedError, StoreError, write_dataset, write_json, write_text
from .continuation import reopen, save_times_of, write_continuation
from .described import described, fingerprint
from .folder import RunFolder, named_parameters
from .load import Run, load
from .lock import Lock
from .machine import environment, versions
from .meta import Meta
from .netcdf import read_dataset
from .recorder import Recorder
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
    InfluenceSummary,
    SolverSummary,
    Summary,
    number,
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
    "InfluenceSummary",
    "Lock",
    "Meta",
    "Recorder",
    "RefusedError",
    "Run",
    "RunFolder",
    "Segments",
    "SolverSummary",
    "StoreError",
    "Summary",
    "described",
    "environment",
    "fingerprint",
    "load",
    "named_parameters",
    "number",
    "read_dataset",
    "read_json",
    "reopen",
    "resumable",
    "save_times_of",
    "versions",
    "write_continuation",
    "write_dataset",
    "write_json",
    "write_text",
]
