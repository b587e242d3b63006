"""What learns: unbatched Equinox modules."""

from ._cooccurrence import CooccurrenceTransformer
from ._factored import FactoredTransformer
from ._gram import GramTransformer
from ._limit import InfiniteWidthTransformer
from ._model import AbstractModel, AbstractWordModel

__all__ = [
    "AbstractModel",
    "AbstractWordModel",
    "CooccurrenceTransformer",
    "FactoredTransformer",
    "GramTransformer",
    "InfiniteWidthTransformer",
]
