"""`model`: what learns."""

from .base import Activation, Hidden
from .cooccurrence import CooccurrenceTransformer, Width, drawn_in_law
from .linear import DeepLinearModel, DiagonalLinearModel, MlpModel
from .linear_attention import LinearAttentionModel
from .scaled import ScaledOutputModel
from .transformer import TransformerModel

__all__ = [
    "Activation",
    "CooccurrenceTransformer",
    "DeepLinearModel",
    "DiagonalLinearModel",
    "Hidden",
    "LinearAttentionModel",
    "MlpModel",
    "ScaledOutputModel",
    "TransformerModel",
    "Width",
    "drawn_in_law",
]
