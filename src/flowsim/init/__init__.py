"""Initialisers: functions `(model, *, key) -> model`. A user's own function of that form serves as well."""

from ._any import as_made
from ._draws import Initialiser, gaussian, kaiming_normal, kaiming_uniform, theory
from ._file import from_arrays, from_file
from ._wrappers import balanced, scale

__all__ = [
    "Initialiser",
    "as_made",
    "balanced",
    "from_arrays",
    "from_file",
    "gaussian",
    "kaiming_normal",
    "kaiming_uniform",
    "scale",
    "theory",
]
