"""What claims need measured and watched, by name: one name stands for one thing in a run."""

from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any

import equinox as eqx
import jax

from ..events import Event
from ..probes import Probe, user


def probes_of(statements: Sequence[Any], given: Iterable[Probe] = ()) -> list[Probe]:
    """The probes that claims and laws need, and those that are given beside them.

    **Raises:** `ValueError` for two different ones of one name.
    """
    needed = [(user(name, probe), one.id) for one in statements for name, probe in one.probes.items()]
    return _by_name("probe", needed, given, lambda probe: probe.measure)


def events_of(statements: Sequence[Any], given: Iterable[Event] = ()) -> list[Event]:
    """The same of events. What stops at one, or says what it is, may differ: the given one's is taken."""
    needed = [(event, one.id) for one in statements for event in one.events]
    return _by_name("event", needed, given, lambda event: (event.parts, event.direction))


def _by_name(
    what: str, needed: Sequence[tuple[Any, str]], given: Iterable[Any], meaning: Callable[[Any], Any]
) -> list[Any]:
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for thing, owner in (*((one, "this run") for one in given), *((one, f"claim {of}") for one, of in needed)):
        known = found.setdefault(thing.name, thing)
        first = owners.setdefault(thing.name, owner)
        if not _same(meaning(known), meaning(thing)):
            raise ValueError(
                f"{first} and {owner} have different {what}s named {thing.name!r}: a run has one of a name, so give "
                "one of them another"
            )
    return list(found.values())


def _same(one: Any, other: Any) -> bool:
    """The same thing, or made of the same text: a claim that is built twice has functions of its own each time."""
    (ours, shape), (theirs, form) = jax.tree.flatten(one), jax.tree.flatten(other)
    return shape == form and all(map(_alike, ours, theirs))


def _alike(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not (isinstance(one, FunctionType) and isinstance(other, FunctionType)):
        return bool(eqx.tree_equal(one, other))
    return _text(one) == _text(other) and one.__globals__ is other.__globals__ and _same(_held(one), _held(other))


def _text(function: FunctionType) -> tuple[Any, ...]:
    code = function.__code__
    return code.co_code, code.co_consts, code.co_names, code.co_varnames


def _held(function: FunctionType) -> list[Any]:
    """What it does not take as an argument."""
    return [function.__defaults__, function.__kwdefaults__, [cell.cell_contents for cell in function.__closure__ or ()]]
