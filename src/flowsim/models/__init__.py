"""What learns: unbatched Equinox modules."""

from .attention import Head
from .cooccurrence import CooccurrenceTransformer
from .diagonal import DiagonalLinear
from .factored import FactoredTransformer
from .gram import GramTransformer
from .limit import InfiniteWidthTransformer
from .linear import MLP, DeepLinear
from .model import AbstractModel, AbstractWordModel
from .transformer import Block, Norm, Transformer

__all__ = [
    "MLP",
    "AbstractModel",
    "AbstractWordModel",
    "Block",
    "CooccurrenceTransformer",
    "DeepLinear",
    "DiagonalLinear",
    "FactoredTransformer",
    "GramTransformer",
    "Head",
    "InfiniteWidthTransformer",
    "Norm",
    "Transformer",
]
