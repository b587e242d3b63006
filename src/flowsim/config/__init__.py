"""Experiment files: YAML becomes a checked `Experiment`.

Nothing here needs JAX or any other part of the simulator.
"""

from .load import load, load_document, load_text
from .problems import ExperimentErrors, Place, Problem
from .resolved import resolved_yaml
from .schema import Experiment

__all__ = ["Experiment", "ExperimentErrors", "Place", "Problem", "load", "load_document", "load_text", "resolved_yaml"]
