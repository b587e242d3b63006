"""From an experiment and its axes to members, each an experiment of its own."""

import dataclasses
import functools
import itertools
import json
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._values import brief
from ..config import Experiment, ExperimentErrors, Problem, load_document
from ..config.naming import NOT_PART, Naming
from ..config.overrides import apply
from ..config.problems import Place, refusal, shortened
from ..config.schema.sweep import MOST
from ..config.yaml_source import Document, parse, parse_value
from . import axes as _axes
from .axes import Axis

_MOST_PROBLEMS = 100


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep is: an experiment's text, fixed changes to it, and axes.

    **Fields:** `folder`: where paths in the experiment start; `plugins`: modules that register parts of it.
    """

    text: str
    origin: str
    folder: pathlib.Path
    overrides: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()
    plugins: tuple[str, ...] = ()

    @functools.cached_property
    def base(self) -> Document:
        """The experiment with the fixed changes, without what its axes stand for."""
        document = apply(parse(self.text, self.origin), self.overrides)
        seeds = {_axes.SEEDS} if any("seed" in axis.keys for axis in self.axes) else set()
        data = {key: value for key, value in document.data.items() if key not in {_axes.SECTION, *seeds}}
        return dataclasses.replace(document, data=data)

    def experiment(self, changes: Sequence[str]) -> Experiment:
        """The experiment of a member. **Raises:** `ExperimentErrors`, also if a file that it names is not there."""
        return load_document(apply(self.base, changes), folder=self.folder)


@dataclasses.dataclass(frozen=True)
class Member:
    """One run of a sweep.

    **Fields:** `id`: the hash of its resolved experiment, the name of its folder; `plan`: the number of its plan in
    the sweep; `overrides`: what makes it of that plan's experiment; `values`: of the axes' keys.
    """

    id: str
    plan: int
    overrides: tuple[str, ...]
    values: dict[str, Any]


def plan(
    text: str,
    *,
    origin: str,
    folder: pathlib.Path,
    overrides: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> Plan:
    """Read an experiment's section `sweep`; in `overrides` a list for a key that takes one value is an axis too.

    An override of a key that the file has as an axis replaces that axis. `seeds` is an axis `seed`.

    **Raises:** `ExperimentErrors`.
    """
    fixed, lists = _split(overrides)
    document = apply(parse(text, origin), fixed)
    found = {axis.keys: axis for axis in _axes.section(document)}
    bare = dataclasses.replace(document, data={k: v for k, v in document.data.items() if k != _axes.SECTION})
    for change, key, value in lists:
        if key == _axes.SEEDS or (not _axes.is_rule(value) and _takes_list(bare, key, change, value)):
            fixed.append(change)
            continue
        _leave(found, key, f"override {shortened(change, 80)}")
        found[(key,)] = _axes.axis(key, value, bare, Place(f"override {shortened(change, 80)}"))
    for change in fixed:
        _leave(found, change.partition("=")[0], f"override {shortened(change, 80)}")
    axes = (*found.values(), *_axes.of_seeds(apply(parse(text, origin), fixed)))
    _refuse_twice(axes)
    size = math.prod(len(axis.points) for axis in axes)
    if size > MOST:
        lengths = " × ".join(f"{len(axis.points)} of {', '.join(axis.keys)}" for axis in axes)
        raise refusal(Place(origin), f"{lengths} are {size} members, more than {MOST}: use fewer values.")
    return Plan(text, origin, folder.resolve(), tuple(fixed), axes, tuple(plugins))


def _split(overrides: Sequence[str]) -> tuple[list[str], list[tuple[str, str, Any]]]:
    """Fixed changes, and those that may be axes with their keys and values."""
    fixed, lists = [], []
    for change in overrides:
        key, equals, text = change.partition("=")
        value = parse_value(text, f"override {shortened(change, 80)}").data["value"] if equals else None
        if isinstance(value, list) or _axes.is_rule(value):
            lists.append((change, key, value))
        else:
            fixed.append(change)
    return fixed, lists


def _takes_list(document: Document, key: str, change: str, value: list) -> bool:
    """Is the list as a whole a value of that key, as in `events=[phase1_end]`?"""
    return not _wrong(document, key, change) and (not value or bool(_wrong(document, key, written(key, value[0]))))


def _wrong(document: Document, key: str, change: str) -> list[Problem]:
    """What is wrong with one key after a change."""
    try:
        load_document(apply(document, [change]))
    except ExperimentErrors as error:
        return [p for p in error.problems if p.key == key or p.key.startswith((f"{key}.", f"{key}["))]
    return []


def _leave(found: dict[tuple[str, ...], Axis], key: str, origin: str) -> None:
    """Drop the axis of a key that is given otherwise."""
    for keys in list(found):
        if key in keys and len(keys) > 1:
            raise refusal(Place(origin), f"changes together with {', '.join(k for k in keys if k != key)} "
                          "in the file; give sweep.together=… as a whole.", key)  # fmt: skip
        if key in keys:
            del found[keys]


def _refuse_twice(axes: Iterable[Axis]) -> None:
    seen: set[str] = set()
    for axis in axes:
        for key in axis.keys:
            if key in seen:
                raise refusal(axis.place, "is given as an axis twice; remove one (`seeds` is an axis seed).", key)
            seen.add(key)


def expand(plan: Plan, number: int = 0) -> list[Member]:
    """The members, the last axis changing first; members that come out the same are one.

    **Raises:** `ExperimentErrors` with everything that is wrong with any of them.
    """
    _check_points(plan)
    found: dict[str, Member] = {}
    problems: dict[Problem, None] = {}
    naming = Naming(plan.folder)
    keys = [key for axis in plan.axes for key in axis.keys]
    for overrides in _products(plan.axes):
        try:
            experiment = plan.experiment(overrides)
        except ExperimentErrors as error:
            problems |= dict.fromkeys(_placed(error, plan.axes))
            if len(problems) >= _MOST_PROBLEMS:
                break
            continue
        data, name = experiment.model_dump(exclude=NOT_PART), naming.id(experiment)
        found.setdefault(name, Member(name, number, overrides, {key: value_of(data, key) for key in keys}))
    if problems:
        raise ExperimentErrors(problems)
    return list(found.values())


def _check_points(plan: Plan) -> None:
    """Each value of each axis alone, the other axes at their first: a product would repeat each mistake."""
    first = [changes(axis, axis.points[0]) for axis in plan.axes]
    problems: dict[Problem, None] = {}
    for i, axis in enumerate(plan.axes):
        for point in axis.points:
            here = [*first[:i], changes(axis, point), *first[i + 1 :]]
            try:
                plan.experiment(tuple(itertools.chain(*here)))
            except ExperimentErrors as error:
                mine = [p for p in _placed(error, plan.axes) if _of(p.key, axis.keys)]
                problems |= dict.fromkeys(mine)
            if len(problems) >= _MOST_PROBLEMS:
                raise ExperimentErrors(problems)
    if problems:
        raise ExperimentErrors(problems)


def _of(key: str, keys: Sequence[str]) -> bool:
    return any(key == k or key.startswith((f"{k}.", f"{k}[")) for k in keys)


def _products(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    columns = [[changes(axis, point) for point in axis.points] for axis in axes]
    for choice in itertools.product(*columns):
        yield tuple(itertools.chain(*choice))


def changes(axis: Axis, point: Sequence[Any]) -> tuple[str, ...]:
    """A point of an axis as overrides."""
    return tuple(written(key, value) for key, value in zip(axis.keys, point, strict=True))


def written(key: str, value: Any) -> str:
    """A change as it would be written on the command line; JSON is YAML, but for what is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{key}=.nan" if math.isnan(value) else f"{key}={'-' if value < 0 else ''}.inf"
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def _placed(error: ExperimentErrors, axes: Sequence[Axis]) -> Iterator[Problem]:
    """Problems of a member at the place where its axis was written."""
    places = {key: axis.place for axis in axes for key in axis.keys}
    for problem in error.problems:
        key = problem.place.origin.removeprefix("override ").partition("=")[0]
        ours = problem.place.line is None and key in places
        yield dataclasses.replace(problem, place=places[key]) if ours else problem


def value_of(data: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key in a resolved experiment, as JSON holds it; None where there is none.

    What a key that names a kind stands for is its kind: `init: gaussian`.
    """
    value: Any = data
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    match value:
        case Mapping() if set(value) == {"kind"}:
            return value["kind"]
        case Mapping() | list() | tuple():
            return _json(value)
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def resolved(plan: Plan, member: Member) -> dict[str, Any]:
    """Every value of a member's experiment by its dotted key, as JSON holds it."""
    data = plan.experiment(member.overrides).model_dump(exclude=NOT_PART)
    return {key: value_of(data, key) for key in _leaves(data)}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all values; a section that is nothing but its kind is one value, and so are its parts."""
    for key, value in tree.items():
        here = f"{prefix}{key}"
        match value:
            case Mapping():
                yield from [here] if set(value) == {"kind"} else []
                yield from _leaves(value, f"{here}.")
            case _:
                yield here


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def documented(member: Member) -> str:
    """A member's values in a few words, for tables and messages."""
    return " ".join(f"{key}={_shown(value)}" for key, value in member.values.items()) or "the experiment itself"


def _shown(value: Any) -> str:
    return shortened(brief(value), 40)
