"""What learns: unbatched Equinox modules."""

from ._attention import Head
from ._cooccurrence import CooccurrenceTransformer
from ._factored import FactoredTransformer
from ._gram import GramTransformer
from ._limit import InfiniteWidthTransformer
from ._linear import MLP, DeepLinear
from ._model import AbstractModel, AbstractWordModel
from ._transformer import Block, Norm, Transformer

__all__ = [
    "MLP",
    "AbstractModel",
    "AbstractWordModel",
    "Block",
    "CooccurrenceTransformer",
    "DeepLinear",
    "FactoredTransformer",
    "GramTransformer",
    "Head",
    "InfiniteWidthTransformer",
    "Norm",
    "Transformer",
]
