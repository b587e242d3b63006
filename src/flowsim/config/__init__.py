"""Experiment files: YAML becomes a checked `Experiment`.

Nothing here needs JAX or any other part of the simulator, until a kind's `build` is called.
"""

from . import kinds
from .context import Context
from .kind import SECTIONS, Kind, KindError, Traits, kind, registered
from .kinds.problem import ProblemKind
from .load import load, load_document, load_text
from .problems import ExperimentErrors, Place, Problem
from .remark import Remark
from .resolved import resolved_yaml
from .schema import Experiment
from .source import Source

__all__ = [
    "SECTIONS",
    "Context",
    "Experiment",
    "ExperimentErrors",
    "Kind",
    "KindError",
    "Place",
    "Problem",
    "ProblemKind",
    "Remark",
    "Source",
    "Traits",
    "kind",
    "kinds",
    "load",
    "load_document",
    "load_text",
    "registered",
    "resolved_yaml",
]
