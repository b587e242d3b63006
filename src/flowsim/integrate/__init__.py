"""The loop: host-side chunks around one jitted function. The only caller of a solver's step."""

from ._advance import advance, begin, measure, observe, proceed, start
from ._carry import Carry, Clock, Code, Plan, State
from ._history import History
from ._march import Chunk, digest, march
from ._stiff import Methods
from ._timing import Stopwatch

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
