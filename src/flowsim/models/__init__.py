"""What learns: unbatched Equinox modules."""

from ._cooccurrence import CooccurrenceTransformer
from ._model import AbstractModel, AbstractWordModel

__all__ = ["AbstractModel", "AbstractWordModel", "CooccurrenceTransformer"]
