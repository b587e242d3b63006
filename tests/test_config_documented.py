"""Every key of an experiment file says what it is, and shows a value: in the JSON Schema, for editors."""

import pathlib
import re
import typing

import pydantic
import pytest

import flowsim
from flowsim.config import SECTIONS, Experiment, kind, registered
from flowsim.config.json_schema import json_schema
from flowsim.config.kind import Kind, description, forget, source
from flowsim.config.schema.compare import Compare, DescentOrder
from flowsim.config.schema.descent import DescentConfig
from flowsim.config.schema.evaluation import Devices, Evaluation
from flowsim.config.schema.save import GivenTimes, LinearTimes, LogTimes
from flowsim.config.schema.scaling import Scaling

OURS = [which for section in SECTIONS for which in registered(section).values() if source(which) is None]
PLAIN = [
    Experiment,
    Compare,
    DescentOrder,
    DescentConfig,
    Devices,
    Evaluation,
    GivenTimes,
    LinearTimes,
    LogTimes,
    Scaling,
]


@pytest.mark.parametrize("section", [*OURS, *PLAIN], ids=lambda s: s.__name__)
def test_every_key_is_described_and_shown(section):
    assert description(section) if section in OURS else section.__doc__
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name} has no description"
        assert field.description.endswith("."), f"{section.__name__}.{name}: {field.description!r}"
        shown = field.examples or not (field.is_required() or field.default is None)
        assert shown, f"{section.__name__}.{name} shows neither a default nor an example"


@pytest.mark.parametrize("section", [which for which in OURS if which.model_fields], ids=lambda s: s.__name__)
def test_examples_are_values(section):
    """An example that its own field refuses would mislead: each is checked as the file would be."""
    for field in section.model_fields.values():
        given = typing.Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        adapter = pydantic.TypeAdapter(given)
        for example in field.examples or ():
            adapter.validate_python(example)


def test_schema_has_every_section_and_kind():
    made = json_schema()
    assert made["$schema"].startswith("https://json-schema.org/")
    assert set(made["properties"]) == set(Experiment.model_fields) | {"discrete"}
    assert made["required"] == ["flow"]
    names = {name for section in SECTIONS for name in registered(section)}
    text = str(made)
    assert all(f"'{name}'" in text for name in names)


def test_schema_is_that_of_what_is_registered():
    """A kind appears with its description, its fields and their defaults, and goes with it."""

    @kind("probe", "documented")
    class Documented(Kind):
        """Something of a test's own."""

        level: float = 0.25

    assert Documented.section == "probe"
    try:
        there = json_schema()
    finally:
        forget("probe", "documented")
    (found,) = [one for one in kinds_of("probes", there) if one.get("title") == "probe: documented"]
    assert found["description"] == "Something of a test's own."
    assert found["properties"]["level"]["default"] == 0.25
    assert found["required"] == ["kind"]
    assert "documented" not in str(json_schema())


def keys_of(node, place=""):
    """(place, its schema) of every key at every depth, of every kind."""
    if isinstance(node, list):
        for one in node:
            yield from keys_of(one, place)
    elif isinstance(node, dict):
        inner = node.get("properties")
        for name, one in inner.items() if isinstance(inner, dict) else ():
            yield f"{node.get('title', place)}.{name}", one
        for name, one in node.items():
            if name not in ("default", "examples", "const", "enum"):
                yield from keys_of(one, name)


def types_of(node):
    """What a value may be; of a list or a mapping, what is in it."""
    found = {node["type"]} if isinstance(node.get("type"), str) else set()
    inside = [node[name] for name in ("items", "additionalProperties") if isinstance(node.get(name), dict)]
    for one in [*node.get("anyOf", []), *node.get("oneOf", []), *inside]:
        found |= types_of(one)
    return found


def test_every_key_of_the_schema_tells_what_it_is():
    """At every depth: a description, a default or an example, and of a number that is no count the unit."""
    seen = list(keys_of(json_schema()))
    assert len(seen) > 500
    assert not [place for place, one in seen if not one.get("description") and "const" not in one]
    shown = {place: "const" in one or one.get("examples") or one.get("default") is not None for place, one in seen}
    assert not [place for place, there in shown.items() if not there]
    numbers = [(place, one) for place, one in seen if "number" in types_of(one)]
    assert len(numbers) > 100
    assert not [place for place, one in numbers if not one.get("unit")]
    times = {place for place, one in numbers if one["unit"] == "time"}
    assert {"flow: gradient.t1", "LogTimes.first", "DescentConfig.learning_rate", "solver: auto.step"} <= times


def kinds_of(section, made):
    return made["properties"][section]["items"]["anyOf"]


def test_the_page_of_the_experiment_file():
    """Its table has every key, each with the file that reads it and the folder of the part; its code registers."""
    page = (pathlib.Path(__file__).parent.parent / "docs" / "experiment-file.md").read_text("utf8")
    package = pathlib.Path(str(flowsim.__file__)).parent
    keys = set()
    for line in page.splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0]:
            keys |= set(cells[0])
            places = [f"config/{one}" for one in cells[2]] + cells[3]
            for place in places:
                assert any((package / f"{place.rstrip('/')}{end}").exists() for end in ("", ".py")), place
    assert keys == set(Experiment.model_fields)
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    try:
        exec(compile(code, "page", "exec"), {"__name__": "page_of_the_docs"})
        assert registered("loss")["smooth_hinge"].model_fields["margin"].default == 1.0
    finally:
        forget("loss", "smooth_hinge")
