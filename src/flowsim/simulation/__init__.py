"""All that is decided before the loop, and the loop: host-side chunks around one jitted function.

    prepared = prepare(problem, Settings(t1=10.0))
    history = run(prepared)

It is the only caller of a solver's step.
"""

from .advance import advance, begin, measure, observe, proceed, start
from .carry import Carry, Clock, Code, Plan, State
from .consumers import AbstractConsumer, Follow, ForEach, TakeUp, TimeLimit
from .history import History
from .march import Chunk, March, digest
from .prepare import Prepared, Settings, lengthened, prepare, with_tolerance
from .run import AbstractBackend, Alone, run, run_all
from .stacked import Stacked
from .stiff import Methods
from .timing import Stopwatch
from .together import Crossings, Together, together

__all__ = [
    "AbstractBackend",
    "AbstractConsumer",
    "Alone",
    "Carry",
    "Chunk",
    "Clock",
    "Code",
    "Crossings",
    "Follow",
    "ForEach",
    "History",
    "March",
    "Methods",
    "Plan",
    "Prepared",
    "Settings",
    "Stacked",
    "State",
    "Stopwatch",
    "TakeUp",
    "TimeLimit",
    "Together",
    "advance",
    "begin",
    "digest",
    "lengthened",
    "measure",
    "observe",
    "prepare",
    "proceed",
    "run",
    "run_all",
    "start",
    "together",
    "with_tolerance",
]
