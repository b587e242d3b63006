"""Numbers and records as a person reads them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .._values import brief, is_number
from ..store import SolverSummary


def number(value: Any, digits: int = 6) -> str:
    """A value for a table: floats to `digits` figures, nothing as a dash, everything else as it is."""
    return "–" if value is None else brief(value, digits)


def error(value: Any) -> str:
    """A size of an error: two figures say all."""
    return number(float(value), 2) if is_number(value) else number(value)


def measured(value: float | int, uncertainty: float | int | None) -> str:
    """A number with the figures that its uncertainty allows: `0.219935536852 ± 1e-12`."""
    if not uncertainty or not math.isfinite(uncertainty) or not value:
        return number(float(value))
    digits = math.ceil(math.log10(abs(value) / uncertainty)) if uncertainty < abs(value) else 1
    return f"{value:.{min(max(digits, 2), 15)}g} ± {uncertainty:.1g}"


def seconds(value: Any) -> str:
    """A duration."""
    return f"{value:.3g} s" if isinstance(value, int | float) else number(value)


def solvers(record: SolverSummary) -> str:
    """The solver of a summary, and those that took over from it: `dopri8 (stabilized4 from t = 1.3)`."""
    switches = [f"{switch.kind} from t = {number(switch.time, 4)}" for switch in record.switches]
    return f"{record.kind} ({', '.join(switches)})" if switches else record.kind


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, as (`outer.inner`, value); lists are joined when they are short and plain."""
    for name, value in record.items():
        match value:
            case Mapping():
                yield from flat(value, f"{prefix}{name}.")
            case list() | tuple() if any(isinstance(item, Mapping | list | tuple) for item in value):
                yield from flat({str(i): item for i, item in enumerate(value)}, f"{prefix}{name}.")
            case list() | tuple():
                yield prefix + str(name), ", ".join(number(item) for item in value) or "none"
            case _:
                yield prefix + str(name), value
