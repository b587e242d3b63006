"""How a run changes with its problem: derivatives along families of problems, and the influence of samples."""

from .family import Family
from .influence import Adjoint, check_adjoint, influence
from .quantity import quantity
from .record import EventSensitivity, Influence, Sensitivity, SensitivityCertificate, together
from .sensitivity import prepare, reduction_of, sensitivity, summed_up

__all__ = [
    "Adjoint",
    "EventSensitivity",
    "Family",
    "Influence",
    "Sensitivity",
    "SensitivityCertificate",
    "check_adjoint",
    "influence",
    "prepare",
    "quantity",
    "reduction_of",
    "sensitivity",
    "summed_up",
    "together",
]
