"""`task`: what is learned."""

from .base import TaskKind
from .cooccurrence import CooccurrenceTask
from .file import FileTask
from .language import CooccurrenceLanguageTask, InContextMarkovTask, NextTokenTask
from .regression import InContextRegressionTask, RegressionTask
from .teachers import ModularAdditionTask, TeacherStudentTask

__all__ = [
    "CooccurrenceLanguageTask",
    "CooccurrenceTask",
    "FileTask",
    "InContextMarkovTask",
    "InContextRegressionTask",
    "ModularAdditionTask",
    "NextTokenTask",
    "RegressionTask",
    "TaskKind",
    "TeacherStudentTask",
]
