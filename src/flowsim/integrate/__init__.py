"""The loop: host-side chunks around one jitted function. The only caller of a solver's step."""

from ._advance import observe, start
from ._carry import Carry, Clock, Code, Plan, State
from ._march import Chunk, append, march
from ._timing import Stopwatch

__all__ = ["Carry", "Chunk", "Clock", "Code", "Plan", "State", "Stopwatch", "append", "march", "observe", "start"]
