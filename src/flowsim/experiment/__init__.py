"""Experiments: a YAML file becomes a checked `Experiment`, which becomes objects, which run.

This module and what it imports need neither JAX nor any other part of the simulator.
"""

from .load import load, load_text
from .problems import ExperimentErrors, Place, Problem
from .resolved import resolved_yaml
from .schema import Experiment

__all__ = ["Experiment", "ExperimentErrors", "Place", "Problem", "load", "load_text", "resolved_yaml"]
