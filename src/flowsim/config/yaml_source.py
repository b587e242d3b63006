"""An experiment file as plain data, with the line and column of every key and value.

The file is read as a stream of parser events, so that what it may not hold (tags, anchors, deep nesting, floods of
values) is refused before anything is built from it. No constructor is ever called: nothing in a file is executed.
"""

import copy
import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from .problems import ExperimentErrors, Place, Problem, dotted, refusal, shortened
from .yaml_scalars import meaning

MAX_DEPTH = 20
MAX_VALUES = 20_000
MAX_PROBLEMS = 100  # of the form of the file; more than that is no slip of the pen

Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Document:
    """An experiment as plain data.

    **Fields:** `origin`: the file's name; `data`: nested dicts, lists and scalars; `keys`, `values`: where the key
    and the value of a path stand; `texts`: scalars as they were written.
    """

    origin: str
    data: dict
    keys: dict[Path, Place] = dataclasses.field(default_factory=dict)
    values: dict[Path, Place] = dataclasses.field(default_factory=dict)
    texts: dict[Path, str] = dataclasses.field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """Where the value at `path` stands, or the innermost thing around it that was written."""
        if path in self.values:
            return self.values[path]
        while path := path[:-1]:
            if path in self.texts:  # the short form of a section: `loss: logistic`
                return self.values[path]
            if path in self.keys:
                return self.keys[path]
            if path in self.values:  # an item of a list
                return self.values[path]
        return Place(self.origin, 1, 1)

    def copy(self) -> "Document":
        """One that may be changed without this. Places and texts are immutable."""
        return Document(self.origin, copy.deepcopy(self.data), dict(self.keys), dict(self.values), dict(self.texts))

    def renamed(self, names: Mapping[str, str]) -> "Document":
        """The same with old names of sections replaced. A section that has both names stays as it is."""
        known = {old: new for old, new in names.items() if old in self.data and new not in self.data}
        if not known:
            return self

        def moved(table: dict[Path, Any]) -> dict[Path, Any]:
            heads = {path: known.get(str(path[0]), path[0]) for path in table if path}
            return {(heads[path], *path[1:]) if path else path: item for path, item in table.items()}

        data = {known.get(key, key): item for key, item in self.data.items()}
        return Document(self.origin, data, moved(self.keys), moved(self.values), moved(self.texts))

    def key_place(self, path: Path) -> Place:
        """Where the key at `path` stands."""
        return self.keys.get(path) or self.place(path)


def parse(text: str, origin: str) -> Document:
    """Plain data of an experiment's text.

    **Raises:** `ExperimentErrors` for anything but one mapping of plain YAML 1.2 values.
    """
    reader = _Reader(origin, text.splitlines())
    try:
        return reader.document(iter(YAML(typ="safe", pure=True).parse(text)))
    except ExperimentErrors:
        raise
    except Exception as error:  # garbage also meets slips of the parser itself: OverflowError for "\\UFFFFFFFF"
        raise refusal(reader.place_of(error), f"not YAML: {_plain(error)}.") from None


@functools.lru_cache(1024)  # the members of a sweep repeat their values
def parse_value(text: str, origin: str) -> Document:
    """An override's value, read by the same rules; it is `data["value"]`, and paths start inside it.

    The same document for the same text: copy what is to be changed.
    """
    reader = _Reader(origin, None)
    try:
        return reader.value(iter(YAML(typ="safe", pure=True).parse(text)))
    except ExperimentErrors:
        raise
    except Exception as error:  # as in `parse`
        raise refusal(Place(origin), f"not a YAML value: {_plain(error)}.") from None


class _Reader:
    """Builds plain data from parser events, and keeps what is wrong until the end, to report it all at once."""

    def __init__(self, origin: str, lines: list[str] | None):
        self.origin = origin
        self.lines = lines
        self.out = Document(origin, {})
        self.problems: list[Problem] = []
        self.count = 0

    def place(self, mark) -> Place:
        if self.lines is None:
            return Place(self.origin)
        source = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Place(self.origin, mark.line + 1, mark.column + 1, source)

    def place_of(self, error: Exception) -> Place:
        mark = (error.problem_mark or error.context_mark) if isinstance(error, MarkedYAMLError) else None
        return Place(self.origin, 1, 1) if mark is None else self.place(mark)

    def document(self, events: Iterator[Any]) -> Document:
        data = self._single(events)
        if not isinstance(data, dict):
            what = "is empty" if data is None else "holds no keys"
            self._note(
                Place(self.origin, 1, 1), (), f"{what}; an experiment is `key: value` lines (see `flowsim new`)."
            )
        self._raise()
        return dataclasses.replace(self.out, data=data)

    def value(self, events: Iterator[Any]) -> Document:
        data = self._single(events)
        self._raise()
        return dataclasses.replace(self.out, data={"value": data})

    def _raise(self) -> None:
        if self.problems:
            raise ExperimentErrors(self.problems)

    def _single(self, events: Iterator[Any]):
        data, documents = None, 0
        for event in events:
            match event:
                case DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._stop(event, "a second document starts here; an experiment is one YAML document.")
                    if event.version and tuple(event.version) != (1, 2):
                        self._stop(event, f"YAML {'.'.join(map(str, event.version))} is not read; use YAML 1.2.")
                case MappingStartEvent() | SequenceStartEvent() | ScalarEvent() | AliasEvent():
                    data = self._node(event, events, ())
        return data

    def _node(self, event: Any, events: Iterator[Any], path: Path):
        self.count += 1
        if self.count > MAX_VALUES:
            self._stop(event, f"more than {MAX_VALUES} values; put data in a .npz file.")
        if len(path) > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep; the deepest key of an experiment has three parts.")
        place = self.out.values.setdefault(path, self.place(event.start_mark))
        if event.anchor is not None:  # of an alias: the anchor that it points to
            self._note(place, path, "anchors and aliases (& and *) are not read; write the value out.")
            if isinstance(event, AliasEvent):
                return None
        if event.tag is not None:
            self._note(place, path, f"the tag {shortened(str(event.tag))} is not read; write a plain value.")
        return self._content(event, events, path)

    def _content(self, event: Any, events: Iterator[Any], path: Path):
        match event:
            case ScalarEvent():
                return self._scalar(event, path)
            case SequenceStartEvent():
                return self._sequence(events, path)
            case _:
                return self._mapping(events, path)

    def _sequence(self, events: Iterator[Any], path: Path) -> list:
        items = []
        for item in _until(SequenceEndEvent, events):
            items.append(self._node(item, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Path) -> dict:
        entries = {}
        for key in _until(MappingEndEvent, events):
            if not isinstance(key, ScalarEvent):
                self._stop(key, "a key must be a word, not a list, a mapping or an alias.")
            here = (*path, key.value)
            if key.anchor is not None or key.tag is not None:
                self._note(self.place(key.start_mark), here, "a key must be a plain word, without tag or anchor.")
            if not key.value.isprintable() and any("\ud800" <= c <= "\udfff" for c in key.value):
                self._stop(key, "a key must be valid Unicode text.")  # pydantic cannot report it
            if key.value in entries:
                first = self.out.keys[here]
                where = "" if first.line is None else f" (the first is at line {first.line})"
                self._note(self.place(key.start_mark), here, f"is given twice{where}; remove one.")
                self._node(next(events), events, (*path, key.value, "second"))
                continue
            self.out.keys[here] = self.place(key.start_mark)
            entries[key.value] = self._node(next(events), events, here)
        return entries

    def _scalar(self, event: ScalarEvent, path: Path):
        if not event.implicit[0]:  # quoted or block text
            self.out.texts[path] = f'"{event.value}"'
            return event.value
        self.out.texts[path] = event.value
        try:
            return meaning(event.value)
        except ValueError as error:
            self._note(self.out.values[path], path, f"{shortened(error, 120)}.")
            return 0

    def _note(self, place: Place, path: Path, message: str) -> None:
        self.problems.append(Problem(place, dotted(path), message))
        if len(self.problems) >= MAX_PROBLEMS:
            self._raise()

    def _stop(self, event: Any, message: str):
        """What makes the rest unreadable ends the reading."""
        self._note(self.place(event.start_mark), (), message)
        self._raise()


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    """The next events up to an end, which is taken too; whoever asks takes those inside an event's node."""
    return itertools.takewhile(lambda event: not isinstance(event, end), events)


def _plain(error: Exception) -> str:
    """A parser's message on one line."""
    parts = (error.context, error.problem) if isinstance(error, MarkedYAMLError) else (str(error),)
    return shortened("; ".join(" ".join(str(part).split()) for part in parts if part), 200).rstrip(".")
