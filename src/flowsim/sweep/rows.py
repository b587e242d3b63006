"""One row of numbers a member, from its summary."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from .folder import Sweep
from .state import DONE, FAILED, States, summary


@dataclasses.dataclass(frozen=True)
class Row:
    """**Fields:** `numbers`: `relative_error`, `final_NAME`, `steps`, …; `events`, `bounds`: first time of each event
    and the error bound of it; NaN where there is none."""

    member: str
    status: str
    reason: str
    numbers: dict[str, float]
    events: dict[str, float]
    bounds: dict[str, float]


def rows(sweep: Sweep, found: States) -> list[Row]:
    """A row for every member, empty where it has not ended."""
    return [_row(sweep, one.member.id, one.state, one.reason) for one in found.members]


def _row(sweep: Sweep, member: str, state: str, reason: str) -> Row:
    content = summary(sweep.folder(member)) if state in (DONE, FAILED) else {}
    if not content:
        return Row(member, state, reason, {}, {}, {})
    events: Mapping[str, Any] = content.get("events") or {}
    solver: Mapping[str, Any] = content.get("solver") or {}
    numbers = {f"final_{name}": _number(value) for name, value in (content.get("final") or {}).items()}
    numbers["relative_error"] = _number((content.get("certificate") or {}).get("relative_error"))
    numbers["steps"] = _number(solver.get("steps"))
    numbers["vector_field_evaluations"] = _number(solver.get("vector_field_evaluations"))
    return Row(
        member,
        state,
        reason,
        numbers,
        {name: _number(record.get("time")) for name, record in events.items()},
        {name: _number(record.get("uncertainty")) for name, record in events.items()},
    )


def names(found: Iterable[Mapping[str, float]]) -> list[str]:
    """All names, in the order in which they come up."""
    return list(dict.fromkeys(name for one in found for name in one))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
