"""What learns: unbatched Equinox modules."""

from .attention import Head
from .cooccurrence import CooccurrenceTransformer
from .diagonal import DiagonalLinear
from .factored import FactoredTransformer
from .gram import GramTransformer
from .limit import InfiniteWidthTransformer
from .linear import MLP, DeepLinear
from .linear_attention import LinearAttention
from .model import AbstractModel, AbstractWordModel, ModelTraits, trained, traits
from .scaled import ScaledOutput
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
    "LinearAttention",
    "ModelTraits",
    "Norm",
    "ScaledOutput",
    "Transformer",
    "trained",
    "traits",
]
