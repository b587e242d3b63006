"""`sweep`: the experiment at every combination of several values (run by `flowsim sweep`)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..._values import as_list, is_number
from ..base import wrong
from ..remark import Remark

MOST = 10**6  # members of a sweep, and values of an axis
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z_][A-Za-z0-9_]*|[0-9]+))*")
_FORMS = "a list of values, {log: [first, last, n]}, {linear: [first, last, n]} or {count: n}"


def axes(sweep: Mapping[str, Any], seed: int = 0) -> list[dict[str, tuple[Any, ...]]]:
    """Every axis as keys with their values, in the order of the file. An axis of `together` has several keys.

    **Arguments:** `sweep`: the section as it is written and was checked. `seed`: the experiment's, from which
    `{count: n}` counts.

    **Returns:** for `{a: [1, 2], together: {b: [3, 4], c: [5, 6]}}` the two axes `{a: (1, 2)}` and
    `{b: (3, 4), c: (5, 6)}`; the members are their product.
    """
    found: list[dict[str, tuple[Any, ...]]] = []
    for key, axis in sweep.items():
        groups = as_list(axis) if key == "together" else [{key: axis}]
        found += [{name: values(inner, seed) for name, inner in group.items()} for group in groups]
    return found


def values(axis: Any, seed: int = 0) -> tuple[Any, ...]:
    """The values of one axis as it is written. Ends of `log` and `linear` are the written numbers to the last bit.

    **Raises:** `PydanticCustomError` for anything else than a list, `log`, `linear` or `count`.
    """
    match axis:
        case list() | tuple():
            if not 1 <= len(axis) <= MOST:
                raise wrong(f"must have 1 to {MOST} values")
            return tuple(axis)
        case {"count": count, **rest} if not rest:
            return tuple(range(seed, seed + _whole(count, "count must be a whole number")))
        case {"log": content, **rest} if not rest:
            return _spaced("log", content)
        case {"linear": content, **rest} if not rest:
            return _spaced("linear", content)
        case _:
            raise wrong(f"must be {_FORMS}")


def _whole(value: Any, message: str) -> int:
    if not is_number(value) or value != int(value) or not 1 <= value <= MOST:
        raise wrong(f"{message} from 1 to {MOST}")
    return int(value)


def _spaced(form: str, content: Any) -> tuple[float, ...]:
    match content:
        case [first, last, count] if all(map(is_number, content)):
            first, last, count = float(first), float(last), _whole(count, f"{form} must end in a whole n")
        case _:
            raise wrong(f"{form} must be [first, last, n], three numbers")
    if form == "log" and (first <= 0 or last <= 0):
        raise wrong("log must be [first, last, n] with first and last > 0")
    if count == 1:
        return (first,)
    inner = [i / (count - 1) for i in range(1, count - 1)]
    between = [first * (last / first) ** p if form == "log" else first + (last - first) * p for p in inner]
    return (first, *(float(f"{value:.12g}") for value in between), last)  # 128 and not 127.99999999999999


def _check_axis(key: str, axis: Any) -> None:
    if key == "together":
        for group in as_list(axis):
            _check_group(group)
        return
    if not _KEY.fullmatch(key):
        raise wrong("must be a key of the experiment, as in model.width")
    values(axis)


def _check_group(group: Any) -> None:
    if not isinstance(group, Mapping) or not group:
        raise wrong("must be {key: values, …}, or a list of such mappings")
    lengths = {}
    for key, axis in group.items():
        _check_axis(key, axis)
        lengths[key] = len(values(axis))
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise wrong(f"must have equally many values for each key ({listed})")


def _each(sweep: Any, check: Callable[[str, Any], None]) -> Any:
    """Every axis that is wrong is reported, with its place."""
    if not isinstance(sweep, Mapping):
        raise PydanticCustomError("model_type", "must hold `key: value` lines")
    found: list[InitErrorDetails] = []
    for key, axis in sweep.items():
        try:
            check(key, axis)
        except PydanticCustomError as error:
            found.append({"type": error, "loc": (key,), "input": axis})
    if found:
        raise ValidationError.from_exception_data("sweep", found)
    return dict(sweep)


SweepConfig = Annotated[
    dict[str, Any],
    BeforeValidator(lambda value: _each(value, _check_axis)),
    Field(
        description="Keys and the values they take: a list, {log: [first, last, n]}, {linear: [first, last, n]} or "
        "{count: n}. The members are all combinations. `together: {key: values, …}` holds keys that change together.",
        examples=[{"model.width": [128, 256], "seed": {"count": 3}}],
    ),
]


def sweep_remarks(experiment: Any) -> Iterator[Remark]:
    """No key on two axes, none that decides the sweep itself, and not too many members."""
    seen: set[str] = set()
    members = 1
    for axis in axes(experiment.sweep, experiment.seed):
        members *= len(next(iter(axis.values())))
        for key in axis:
            if key in seen:
                yield Remark(("sweep", key), "must be on one axis only")
            if key.split(".")[0] in ("sweep", "seeds", "name", "notes"):
                yield Remark(("sweep", key), f"must not vary {key}", "take `seed: {count: n}` for several seeds")
            seen.add(key)
    if members > MOST:
        yield Remark(("sweep",), f"must have at most {MOST} members, and has {members}")
