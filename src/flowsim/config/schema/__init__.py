"""The sections of an experiment that hold no kinds, one file each, and the experiment itself."""

from . import checks
from .certificate import Certificate
from .compare import Compare
from .descent import DescentConfig
from .evaluation import Devices, Evaluation
from .experiment import Experiment
from .save import GivenTimes, LinearTimes, LogTimes, SaveConfig
from .scaling import Scaling

__all__ = [
    "Certificate",
    "Compare",
    "DescentConfig",
    "Devices",
    "Evaluation",
    "Experiment",
    "GivenTimes",
    "LinearTimes",
    "LogTimes",
    "SaveConfig",
    "Scaling",
    "checks",
]
