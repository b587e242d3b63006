"""A run cut at the saddles that it passed."""

import dataclasses
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run, from one saddle to the next.

    **Fields:** `start`, `end`: times; `height`: the loss at its beginning, of the plateau that it leaves;
    `height_error`: to second order how far that is from the loss of the saddle itself, None at t = 0, where the run
    need not be near one; `index`: of the saddle, None at t = 0.
    """

    start: float
    end: float
    height: float
    height_error: float | None = None
    index: int | None = None


def phases(saddles: Iterable[Any], *, loss: float, end: float) -> tuple[Phase, ...]:
    """The phases of a run whose event `saddle` was watched.

    **Arguments:** `saddles`: the crossings, `result.events["saddle"].crossings`. `loss`: at t = 0. `end`: of the run.

    A minimum of the gradient's norm with a Hessian that has no negative eigenvalue is no saddle, and begins no phase.
    """
    passed = [c for c in saddles if c.values["index"] > 0]
    starts = [0.0, *(c.time for c in passed)]
    ends = [*starts[1:], end]
    heights = [(loss, None, None)]
    heights += [(c.values["loss"], c.values["height_error"], int(c.values["index"])) for c in passed]
    return tuple(Phase(a, b, *height) for a, b, height in zip(starts, ends, heights, strict=True))
