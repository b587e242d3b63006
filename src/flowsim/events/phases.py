"""A run cut at the saddles that it passed."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

_SHARE = 0.01  # of the fall after a plateau, within which its height must be known where no eigenvalue says so


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run, from one saddle to the next.

    **Fields:** `start`, `end`: times; `height`: the loss at its beginning, of the plateau that it leaves;
    `height_error`: to second order how far that is from the loss of the saddle itself, None at t = 0, where the run
    need not be near one; `index`: of the saddle, None at t = 0, and 0 of a degenerate one.
    """

    start: float
    end: float
    height: float
    height_error: float | None = None
    index: int | None = None


def phases(saddles: Iterable[Any], *, loss: float, end: float, final: float | None = None) -> tuple[Phase, ...]:
    """The phases of a run whose event `saddle` was watched.

    **Arguments:** `saddles`: the crossings, `result.events["saddle"].crossings`. `loss`: at t = 0. `end`: of the run.
    `final`: the loss there; without it the last minimum begins a phase only if its Hessian shows it to be a saddle.

    A minimum of the gradient's norm begins a phase if the Hessian has a negative eigenvalue there, or if its height is
    known to a hundredth of the fall that follows: at a degenerate saddle (three or more layers, linear attention) the
    negative eigenvalues vanish with the start's scale. Other minima are narrow passages.
    """
    found = list(saddles)
    after = [*(c.values["loss"] for c in found[1:]), math.inf if final is None else final][: len(found)]
    passed = [c for c, low in zip(found, after, strict=True) if _is_saddle(c.values, low)]
    starts = [0.0, *(c.time for c in passed)]
    ends = [*starts[1:], end]
    heights = [(loss, None, None)]
    heights += [(c.values["loss"], c.values["height_error"], int(c.values["index"])) for c in passed]
    return tuple(Phase(a, b, *height) for a, b, height in zip(starts, ends, heights, strict=True))


def _is_saddle(values: Mapping[str, Any], after: float) -> bool:
    return values["index"] > 0 or values["height_error"] < _SHARE * (values["loss"] - after)
