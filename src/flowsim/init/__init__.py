"""Initializers: functions `(model, *, key) -> model`. A user's own function of that form serves as well."""

from .any import as_made
from .draws import Initializer, gaussian, kaiming_normal, kaiming_uniform, theory
from .file import from_arrays, from_file
from .layers import balanced_layers, mode_aligned
from .named import from_named
from .wrappers import balanced, centered, scale

__all__ = [
    "Initializer",
    "as_made",
    "balanced",
    "balanced_layers",
    "centered",
    "from_arrays",
    "from_file",
    "from_named",
    "gaussian",
    "kaiming_normal",
    "kaiming_uniform",
    "mode_aligned",
    "scale",
    "theory",
]
