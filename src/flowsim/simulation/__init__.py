"""The loop: host-side chunks around one jitted function. The only caller of a solver's step."""

from .advance import advance, begin, measure, observe, proceed, start
from .carry import Carry, Clock, Code, Plan, State
from .history import History
from .march import Chunk, digest, march
from .stiff import Methods
from .timing import Stopwatch

__all__ = [
    "Carry",
    "Chunk",
    "Clock",
    "Code",
    "History",
    "Methods",
    "Plan",
    "State",
    "Stopwatch",
    "advance",
    "begin",
    "digest",
    "march",
    "measure",
    "observe",
    "proceed",
    "start",
]
