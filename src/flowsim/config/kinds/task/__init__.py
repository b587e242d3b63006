"""`task`: what is learned."""

from .base import TaskKind
from .cooccurrence import CooccurrenceTask
from .file import FileTask
from .language import CooccurrenceLanguageTask, NextTokenTask
from .regression import InContextRegressionTask, RegressionTask

__all__ = [
    "CooccurrenceLanguageTask",
    "CooccurrenceTask",
    "FileTask",
    "InContextRegressionTask",
    "NextTokenTask",
    "RegressionTask",
    "TaskKind",
]
