"""The sections of an experiment, one file each."""

from . import checks
from .base import Section
from .certificate import Certificate
from .discrete import DiscreteConfig
from .events import (
    AttentionMoves,
    CommonWordTurns,
    EventConfig,
    GradientBelow,
    LossBelow,
    MarginReached,
    MlpAligned,
    Phase1End,
)
from .experiment import FIGURES, Experiment
from .flow import FlowConfig, GradientFlow
from .init import FileInit, Gaussian, InitConfig, KaimingNormal, KaimingUniform, Theory
from .loss import Loss, LossConfig, PluginLoss
from .model import CooccurrenceTransformer, ModelConfig, TransformerModel, parameter_names
from .save import GivenTimes, LinearTimes, LogTimes, SaveConfig
from .scaling import Scaling
from .solver import Solver
from .task import CooccurrenceTask, FileTask, TaskConfig

__all__ = [
    "FIGURES",
    "AttentionMoves",
    "Certificate",
    "CommonWordTurns",
    "CooccurrenceTask",
    "CooccurrenceTransformer",
    "DiscreteConfig",
    "EventConfig",
    "Experiment",
    "FileInit",
    "FileTask",
    "FlowConfig",
    "Gaussian",
    "GivenTimes",
    "GradientBelow",
    "GradientFlow",
    "InitConfig",
    "KaimingNormal",
    "KaimingUniform",
    "LinearTimes",
    "LogTimes",
    "Loss",
    "LossBelow",
    "LossConfig",
    "MarginReached",
    "MlpAligned",
    "ModelConfig",
    "Phase1End",
    "PluginLoss",
    "SaveConfig",
    "Scaling",
    "Section",
    "Solver",
    "TaskConfig",
    "Theory",
    "TransformerModel",
    "checks",
    "parameter_names",
]
