"""The grid of a sweep: a dimension for each axis, and each member's place on it."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._values import is_number
from .expand import Plan
from .folder import Sweep

_MOST_CELLS = 4 * 10**6


@dataclasses.dataclass(frozen=True)
class Dimension:
    """**Fields:** `keys`: that change together along it, the first names it; `points`: a value for each key."""

    keys: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        """As the dimension is called in `sweep.nc`."""
        return self.keys[0]

    def column(self, key: str) -> list[Any]:
        """The values of one key along it."""
        place = self.keys.index(key)
        return [point[place] for point in self.points]


@dataclasses.dataclass(frozen=True)
class Grid:
    """**Fields:** `values`: of every key, by member; `places`: the indices of each member along the dimensions."""

    dimensions: tuple[Dimension, ...]
    values: dict[str, dict[str, Any]]
    places: dict[str, tuple[int, ...]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension."""
        return tuple(len(one.points) for one in self.dimensions)

    @property
    def cells(self) -> int:
        """Points of the grid, most of them empty where sweeps of different axes share a folder."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def fits(self) -> bool:
        """Is the grid small enough for arrays over it?"""
        return self.cells <= _MOST_CELLS


def grid(sweep: Sweep) -> Grid:
    """The union of all plans: what one fixes and another varies is an axis, and so is what their files differ in."""
    groups = _groups(sweep.plans)
    keys = [key for group in groups for key in group]
    more = [key for key in _differing(sweep.resolved) if key not in keys and not _inside(key, keys)]
    groups += [(key,) for key in more]
    values = {
        name: {key: member.values.get(key, sweep.resolved[member.plan].get(key)) for key in (*keys, *more)}
        for name, member in sweep.members.items()
    }
    dimensions = tuple(_dimension(group, values.values()) for group in groups)
    index = [{point: i for i, point in enumerate(one.points)} for one in dimensions]
    places = {
        name: tuple(index[d][tuple(mine[key] for key in one.keys)] for d, one in enumerate(dimensions))
        for name, mine in values.items()
    }
    return Grid(dimensions, values, places)


def _groups(plans: Iterable[Plan]) -> list[tuple[str, ...]]:
    """Keys by axis; keys that change together in one plan and not in another are axes of their own."""
    found: dict[tuple[str, ...], None] = {}
    for plan in plans:
        found |= dict.fromkeys(axis.keys for axis in plan.axes)
    groups: dict[tuple[str, ...], None] = {}
    for group in found:
        clash = any(set(group) & set(other) for other in found if other != group)
        groups |= dict.fromkeys([(key,) for key in group] if clash else [group])
    return list(groups)


def _differing(resolved: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted keys in which the plans' experiments differ."""
    keys = dict.fromkeys(itertools.chain.from_iterable(resolved))
    return [key for key in keys if len({repr(one.get(key)) for one in resolved}) > 1]


def _inside(key: str, axes: Sequence[str]) -> bool:
    """Does an axis give the whole of which the key is a part, or a part of it?"""
    return any(key.startswith(f"{axis}.") or axis.startswith(f"{key}.") for axis in axes)


def _dimension(group: tuple[str, ...], values: Iterable[Mapping[str, Any]]) -> Dimension:
    points = list(dict.fromkeys(tuple(one[key] for key in group) for one in values))
    first = [point[0] for point in points]
    if all(is_number(value) for value in first):
        points.sort(key=lambda point: point[0])
    return Dimension(group, tuple(points))
