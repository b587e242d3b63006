"""One run on several devices, of one process or of several."""

from .processes import first, initialize, largest, own_folder, several
from .shard import shard

__all__ = ["first", "initialize", "largest", "own_folder", "several", "shard"]
