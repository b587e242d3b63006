"""From a kind to what it builds, with one sentence where a kind of a user's goes wrong."""

import contextlib
import dataclasses
import linecache
import pathlib
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from .._files import RefusedError
from .._values import as_list
from .context import Context
from .kind import SECTIONS, Kind, source
from .problems import ExperimentErrors, Place, Problem, refusal, shortened

T = TypeVar("T")


def built(part: Kind, context: Context) -> Any:
    """What a kind builds.

    **Raises:** `ExperimentErrors` with the place in the plugin for what goes wrong in a kind of a user's.
    """
    with blamed(part, "build"):
        return part.build(context)


@contextlib.contextmanager
def blamed(part: Kind, what: str) -> Iterator[None]:
    """Errors of a user's code are reported with their place in it; errors of flowsim's own pass."""
    try:
        yield
    except ExperimentErrors:
        raise
    except Exception as error:
        file = source(type(part))
        if file is None:
            raise
        said = shortened(" ".join(str(error).split()) or "no message", 300)
        message = (
            f"{what} of {type(part).__name__} raised {type(error).__name__}: {said.rstrip('.')}. Correct it there."
        )
        raise refusal(_place(file, error), message, f"{part.section} {part.kind}") from error


@contextlib.contextmanager
def judging(statement: Any) -> Iterator[None]:
    """Errors of a user's claim or law are reported with their place in it.

    **Arguments:** `statement`: has an `id`, and a function `measure`.

    **Raises:** `RefusedError`: the run is over by then, so that it is no error of the experiment's.
    """
    try:
        yield
    except Exception as error:
        code = getattr(statement.measure, "__code__", None)
        if code is None or str(statement.measure.__module__).startswith("flowsim."):
            raise
        place, said = _place(code.co_filename, error), shortened(" ".join(str(error).split()) or "no message", 300)
        if place.line is not None:
            said = f"raised {type(error).__name__}: {said}"
        said = f"{said.rstrip('.')}. Correct it there, and verify again with --force."
        where = dataclasses.replace(place, source=None)
        raise RefusedError(str(Problem(where, f"claim {statement.id}", said))) from error


def wrong_result(part: Kind, given: Any, wanted: str = "") -> ExperimentErrors:
    """The refusal of what `build` returned."""
    wanted = wanted or SECTIONS[part.section]
    message = f"build of {type(part).__name__} returned {_named(given)}; it must return {wanted}."
    return refusal(Place(_file(part)), message, f"{part.section} {part.kind}")


def of_type(part: Kind, made: Any, wanted: type[T]) -> T:
    """What `build` returned. **Raises:** `ExperimentErrors` if it is nothing of the type wanted."""
    if not isinstance(made, wanted):
        raise wrong_result(part, made)
    return made


def probes_of(part: Kind, context: Context) -> dict[str, Any]:
    """Name -> `flowsim.probes.Probe` of everything that a kind of probe measures."""
    from ..probes import Probe, user

    made = built(part, context)
    match made:
        case Mapping():
            named = list(made.items())
        case _:
            named = [(getattr(one, "name", part.kind), one) for one in as_list(made)]
    found = {}
    for name, one in named:
        if not isinstance(one, Probe) and not callable(one):
            raise wrong_result(part, one)
        if name in found:
            raise wrong_result(part, made, "probes of different names; give them in a dict")
        found[str(name)] = user(str(name), one)
    return found


def event_of(part: Any, context: Context) -> Any:
    """The `flowsim.events.Event` of a kind of event, under the name and options that the experiment gives it."""
    from ..events import Event, crossing

    made = built(part, context)
    if isinstance(made, Event):
        direction = part.direction or made.direction
        return Event(part.name, made.parts, direction, part.terminal, made.description, made.records)
    if not callable(made):
        raise wrong_result(part, made)
    return crossing(part.name, made, direction=part.direction or "up", terminal=part.terminal)


def claims_of(part: Kind, context: Context) -> list[Any]:
    """Every claim of a kind of claim."""
    return as_list(built(part, context))


def _named(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _file(part: Kind) -> str:
    return source(type(part)) or type(part).__module__


def _place(file: str, error: BaseException) -> Place:
    """Where in a user's file an error came from: the innermost line of it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, file)]
    if not lines or lines[-1] is None:
        return Place(file)
    text = linecache.getline(file, lines[-1]).rstrip("\n")
    return Place(file, lines[-1], len(text) - len(text.lstrip()) + 1, text)


def _same(one: str, other: str) -> bool:
    return one == other or pathlib.Path(one).absolute() == pathlib.Path(other).absolute()
