"""What is learned: batches of tokens and labels."""

from ._arrays import from_arrays
from ._cooccurrence import cooccurrence, random_positions
from ._task import GROUPS, Task

__all__ = ["GROUPS", "Task", "cooccurrence", "from_arrays", "random_positions"]
