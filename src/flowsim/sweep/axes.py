"""The axes of a sweep: which keys of an experiment take which values.

An axis is a list for a key that takes one value, or a rule for one:

    model.width: [128, 256, 512]
    init.sigma0: {log: [1.0e-3, 1.0, 7]}       # seven values, evenly spaced in the logarithm; also {linear: …}
    seed: {count: 10}                          # seed … seed + 9
    together: {flow.t1: [10, 100], solver.rtol: [1.0e-8, 1.0e-6]}   # keys that change together: one axis
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..config import ExperimentErrors, Place, Problem
from ..config.problems import refusal
from ..config.yaml_source import Document

SECTION, TOGETHER = "sweep", "together"
MOST_MEMBERS = 10**6
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_RULES = ("log", "linear", "count")


@dataclasses.dataclass(frozen=True)
class Axis:
    """Keys that change together, most often one.

    **Fields:** `points`: for each point a value for each key; `place`: where the axis was written.
    """

    keys: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]
    place: Place = dataclasses.field(default=Place("axis"), compare=False)


def is_rule(value: Any) -> bool:
    """Is it `{log: …}`, `{linear: …}` or `{count: …}`?"""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _RULES


def section(document: Document) -> list[Axis]:
    """The axes of an experiment's section `sweep`, in the order of the file.

    **Raises:** `ExperimentErrors` with everything that is no axis.
    """
    given = document.data.get(SECTION)
    if given is None:
        return []
    if not isinstance(given, dict):
        raise refusal(document.place((SECTION,)), "must hold `key: [value, …]` lines.", SECTION)
    return _all(_parts(given, document))


def axis(key: str, value: Any, document: Document, place: Place) -> Axis:
    """The axis of one key. **Raises:** `ExperimentErrors`."""
    return Axis((key,), tuple((v,) for v in _values(key, value, document, place)), place)


def _parts(given: Mapping[str, Any], document: Document) -> Iterator[Any]:
    """What makes each axis, to be called: one mistake does not hide the next."""
    for key, value in given.items():
        if key != TOGETHER:
            yield lambda k=key, v=value: axis(k, v, document, document.place((SECTION, k)))
            continue
        groups = value if isinstance(value, list) else [value]
        for group in groups:
            yield lambda g=group: _together(g, document, document.place((SECTION, TOGETHER)))


def _all(parts: Iterable[Any]) -> list[Axis]:
    axes: list[Axis] = []
    found: list[Problem] = []
    for part in parts:
        try:
            axes.append(part())
        except ExperimentErrors as error:
            found.extend(error.problems)
    if found:
        raise ExperimentErrors(found)
    return axes


def _together(group: Any, document: Document, place: Place) -> Axis:
    name = f"{SECTION}.{TOGETHER}"
    if not isinstance(group, dict) or len(group) < 2:
        raise refusal(place, "must hold two or more `key: [value, …]` lines.", name)
    columns = {key: _values(key, value, document, place) for key, value in group.items()}
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{key} has {len(column)}" for key, column in columns.items())
        raise refusal(place, f"keys that change together need as many values each: {lengths}.", name)
    return Axis(tuple(columns), tuple(zip(*columns.values(), strict=True)), place)


def _values(key: str, value: Any, document: Document, place: Place) -> list[Any]:
    if not _KEY.fullmatch(key) or key.split(".")[0] == SECTION:
        raise refusal(place, "an axis is a key of the experiment, as in model.width.", key)
    if isinstance(value, list):
        if not value:
            raise refusal(place, "an axis needs at least one value.", key)
        return value
    if not is_rule(value):
        raise refusal(place, "an axis is a list, {log: [a, b, n]}, {linear: [a, b, n]}, or {count: n} of seed.", key)
    rule, given = next(iter(value.items()))
    if rule == "count":
        return _count(key, given, document, place)
    return _range(key, rule, given, place)


def _count(key: str, given: Any, document: Document, place: Place) -> list[int]:
    if key != "seed":
        raise refusal(place, "only the axis seed can be a count; list the values.", key)
    first = document.data.get("seed", 0)
    if not _whole(given) or not 1 <= given <= MOST_MEMBERS or not _whole(first):
        raise refusal(place, f"count must be a whole number from 1 to {MOST_MEMBERS}.", key)
    return list(range(int(first), int(first) + int(given)))


def _range(key: str, rule: str, given: Any, place: Place) -> list[float]:
    numbers = given if isinstance(given, list) and len(given) == 3 else [None]
    if not all(_number(x) for x in numbers) or not _whole(numbers[2]) or not 2 <= numbers[2] <= MOST_MEMBERS:
        raise refusal(place, f"{rule} takes [first, last, how many], at least 2 of them.", key)
    first, last, count = float(numbers[0]), float(numbers[1]), int(numbers[2])
    if rule == "log" and not (first > 0 and last > 0):
        raise refusal(place, "a logarithmic range needs ends above 0; use linear.", key)
    return [_between(rule, first, last, i / (count - 1)) for i in range(count)]


def _between(rule: str, first: float, last: float, part: float) -> float:
    """A point of a range to twelve digits: 128 and not 128.00000000000003, on every platform."""
    if part in (0.0, 1.0):
        return last if part else first
    value = math.exp((1 - part) * math.log(first) + part * math.log(last)) if rule == "log" else (
        (1 - part) * first + part * last
    )  # fmt: skip
    return float(f"{value:.12g}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return _number(value) and float(value).is_integer()
