"""The axes of a sweep: which keys of an experiment take which values.

An axis is a list for a key that takes one value, or a rule for one:

    model.width: [128, 256, 512]
    init.sigma0: {log: [1.0e-3, 1.0, 7]}       # seven values, evenly spaced in the logarithm; also {linear: …}
    seed: {count: 10}                          # seed … seed + 9
    together: {flow.t1: [10, 100], solver.rtol: [1.0e-8, 1.0e-6]}   # keys that change together: one axis
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from .._values import as_list, is_whole
from ..config import ExperimentErrors, Place, Problem
from ..config.problems import refusal
from ..config.schema.sweep import values
from ..config.yaml_source import Document

SECTION, TOGETHER, SEEDS = "sweep", "together", "seeds"
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


def of_seeds(document: Document) -> list[Axis]:
    """`seeds` as the axis `seed`; what is not well formed stays for the checks of the experiment."""
    given, first = document.data.get(SEEDS, ()), document.data.get("seed", 0)
    if is_whole(given) and isinstance(first, int) and 1 <= given <= 10_000:
        given = range(first, first + given)
    if not isinstance(given, list | range) or not given:
        return []
    return [Axis(("seed",), tuple((seed,) for seed in given), document.place((SEEDS,)))]


def _parts(given: Mapping[str, Any], document: Document) -> Iterator[Any]:
    """What makes each axis, to be called: one mistake does not hide the next."""
    for key, value in given.items():
        if key != TOGETHER:
            yield lambda k=key, v=value: axis(k, v, document, document.place((SECTION, k)))
            continue
        for group in as_list(value):
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
    if is_rule(value) and "count" in value and key != "seed":
        raise refusal(place, "only the axis seed can be a count; list the values.", key)
    first = document.data.get("seed", 0)
    try:
        return list(values(value, int(first) if isinstance(first, int | float) else 0))
    except PydanticCustomError as error:
        raise refusal(place, f"{error.message()}.", key) from None
