"""How a run changes with its problem: derivatives along families of problems, and the influence of samples."""

from .family import Family
from .influence import Influence, influence
from .record import EventSensitivity, Sensitivity, SensitivityCertificate
from .sensitivity import prepare, reduction_of, sensitivity, summed_up

__all__ = [
    "EventSensitivity",
    "Family",
    "Influence",
    "Sensitivity",
    "SensitivityCertificate",
    "influence",
    "prepare",
    "reduction_of",
    "sensitivity",
    "summed_up",
]
