"""A kind: one class that an experiment file names, with its fields, its checks and what it builds.

flowsim's own kinds (`config/kinds/`) and a user's are registered by the same decorator,

    @flowsim.kind("loss", "hinge2")
    class Hinge2(flowsim.config.Kind):
        \"\"\"Squared hinge: max(0, margin - y F)².\"\"\"

        margin: float = 1.0

        def build(self, context):
            return lambda prediction, label: jax.nn.relu(self.margin - label * prediction) ** 2

and from then on `loss: {kind: hinge2, margin: 0.5}` is checked, documented and built like any other.
"""

import dataclasses
import enum
import functools
import pathlib
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, create_model

from .base import Listed, Section, Whole, unknown
from .remark import Remark

SECTIONS: dict[str, str] = {
    "task": "a flowsim.tasks.Task",
    "model": "an unbatched Equinox module",
    "loss": "a function (prediction, label) -> scalar",
    "init": "a function (model, *, key) -> model",
    "problem": "a flowsim.Problem",
    "probe": "a flowsim.probes.Probe, a function of the model, or several in a dict or list",
    "event": "a flowsim.events.Event, or a function (t, model) -> number",
    "flow": "a flowsim.flows.AbstractFlow",
    "solver": "a Diffrax solver, or a flowsim.solvers.Method",
    "figure": "a function (drawing) -> matplotlib Figure",
    "claim": "a flowsim.claims.Claim, or several in a list",
    "log": "a logger: a function (time, values), called after every chunk",
    "sensitivity": "a family of problems: a function (epsilon) -> flowsim.Problem",
}
"""Section -> what `build` of its kinds returns."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_registered: dict[str, dict[str, type["Kind"]]] = {section: {} for section in SECTIONS}
_fields: dict[str, type["Kind"]] = {}


class KindError(ValueError):
    """A kind that cannot be registered."""


@dataclasses.dataclass(frozen=True)
class Traits:
    """What goes with a kind. None fits anything, so that a kind of a user's needs to say nothing.

    **Fields:**

    - `inputs`, `labels`: of a task: `words`, `sequences` of vectors or `vectors`; `sign`, `word` or `number`.
    - `judges`: the labels that a loss is for.
    - `reads`, `answers`: the inputs that a model takes, the labels that it can give; `attention`: has it heads?
    - `paper`: is a model the paper's, with arrays of the paper's names?
    - `starts`: of an init: the `paper`'s model only, or any model (None); `gaussian`: are the weights independent
      Gaussians, which can be drawn in law; `limit`: does it have a limit of infinite width?
    - `fresh`: can a task draw other samples of its law (method `fresh`)?
    - `matrices`: does a probe or event need the weights' matrices?
    - `plain`: is a flow the gradient flow, `symmetric`: is its Jacobian?
    """

    inputs: str | None = None
    labels: str | None = None
    judges: tuple[str, ...] | None = None
    reads: tuple[str, ...] | None = None
    answers: tuple[str, ...] | None = None
    attention: bool | None = None
    paper: bool = False
    starts: str | None = None
    gaussian: bool = False
    limit: bool = False
    fresh: bool = False
    matrices: bool = False
    plain: bool = False
    symmetric: bool = False


class Kind(Section):
    """What every kind has. Subclasses add typed fields with defaults; their docstring is the kind's description.

    **Class data:** `traits`: by which kinds know whether they go together.
    """

    section: ClassVar[str] = ""
    traits: ClassVar[Traits] = Traits()

    kind: str = Field(default="", description="Which kind this is.")

    def check(self, experiment: Any) -> Iterable[Remark]:
        """What does not hold between these fields and the rest of the experiment.

        **Arguments:** `experiment`: its sections as attributes, None where one is not given. A section that holds
        errors of its own ends the check, so that it needs no care.

        **Returns:** remarks. A path that starts with a field of this kind, or is empty, is relative to it; any other
        starts at the experiment, as `("init", "balanced")` does.
        """
        return ()

    def parameter_names(self) -> list[str] | None:
        """Names of a model's trained arrays, for `time_scales`, `train` and probes; None if only the model knows."""
        return None

    def named_files(self) -> Mapping[str, str]:
        """Field -> the file that it names, relative to the experiment file. What a run depends on."""
        return {}

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterable[tuple[str, str]]:
        """A field and what is wrong with the file that it names, or a library that it lacks, before anything runs.

        **Arguments:** as of `check`; `folder`: where the experiment file is.
        """
        return ()

    def build(self, context: Any) -> Any:
        """The part itself (`SECTIONS` says which). Import JAX and the rest of flowsim here, not at the top."""
        raise NotImplementedError(f"{type(self).__name__} has no build(self, context)")


def kind(section: str, name: str) -> Callable[[type[Kind]], type[Kind]]:
    """Register a class of `flowsim.config.Kind` as a kind of a section of experiment files.

    Fields that every kind of the section has (`flow.t1`, an event's `name`, …) are added if the class lacks them.

    **Arguments:** `section`: one of `SECTIONS`. `name`: letters, digits and `_`; what the file calls it.

    **Raises:** `KindError` for a section that does not exist, a name that cannot be, or one that is taken.
    """
    if section not in SECTIONS:
        raise KindError(f"there is no section {section!r} for kinds; sections are {', '.join(SECTIONS)}")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise KindError(f"the {section} name {name!r} must be letters, digits and `_`, and start with a letter")

    def register(defined: type[Kind]) -> type[Kind]:
        if not (isinstance(defined, type) and issubclass(defined, Kind)):
            raise KindError(f"the {section} {name!r} must be a class that derives from flowsim.config.Kind")
        taken = _registered[section].get(name)
        if taken is not None and taken.__module__ != "__main__":  # in a notebook a cell may be run again
            raise KindError(f"two classes register a {section} named {name!r}: give one of them another name")
        made = _named(defined, section, name)
        _registered[section][name] = made
        return made

    return register


def _named(defined: type[Kind], section: str, name: str) -> type[Kind]:
    """The class with its `kind` fixed and the section's own fields."""
    shared = _fields.get(section)
    bases = defined if shared is None or issubclass(defined, shared) else (defined, shared)
    about = {field: (_as_written(info.annotation, info), info) for field, info in _own_fields(defined).items()}
    made = create_model(
        defined.__name__,
        __base__=bases,
        __module__=defined.__module__,
        __doc__=defined.__doc__,
        **{field: pair for field, pair in about.items() if pair[0] is not None},
        kind=(Literal[name], Field(default=name, description="Which kind this is.")),
    )
    made.section = section
    made.__qualname__ = defined.__qualname__
    return made


def _own_fields(defined: type[Kind]) -> Mapping[str, Any]:
    """Fields of a class that were defined outside flowsim, whose annotations are plain Python's."""
    if defined.__module__.startswith("flowsim."):
        return {}
    return {name: info for name, info in defined.model_fields.items() if name not in Kind.model_fields}


def _as_written(annotation: Any, info: Any) -> Any:
    """The annotation for values as YAML writes them: lists for tuples, `1.0e9` for whole numbers; None to leave it."""
    written = _from_yaml(annotation)
    if written is annotation:
        return None
    return typing.Annotated[written, *info.metadata] if info.metadata else written


def _from_yaml(annotation: Any) -> Any:
    """A type with its whole numbers, tuples and enumerations, nested ones too, in the form that reads YAML."""
    if annotation is int:
        return Whole
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return typing.Annotated[annotation, BeforeValidator(functools.partial(_member, annotation))]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (None, Literal, typing.Annotated):
        return annotation
    mixed = origin in (typing.Union, types.UnionType)
    made = tuple(one if mixed and one is int and float in inner else _from_yaml(one) for one in inner)
    if origin is tuple:
        return typing.Annotated[tuple[made], Listed]
    if made == inner:
        return annotation
    return typing.Union[made] if mixed else origin[made]  # noqa: UP007 (of a tuple of types)


def _member(choices: type[enum.Enum], value: Any) -> Any:
    """A member of an enumeration by its value."""
    known = [one.value for one in choices]
    if isinstance(value, choices) or value in known:
        return choices(value)
    raise unknown([str(one) for one in known])


def section_fields(section: str) -> Callable[[type[Kind]], type[Kind]]:
    """Give every kind of a section the fields of a class."""

    def register(defined: type[Kind]) -> type[Kind]:
        _fields[section] = defined
        return defined

    return register


def registered(section: str) -> Mapping[str, type[Kind]]:
    """Name -> class of all kinds of a section, flowsim's first."""
    return _registered[section]


def forget(section: str, name: str) -> None:
    """Take a kind out again: for tests, and for a plugin that failed half-way."""
    _registered[section].pop(name, None)


def source(which: type[Kind]) -> str | None:
    """The file in which a kind of a user's is defined; None for flowsim's own."""
    if which.__module__.startswith("flowsim."):
        return None
    return getattr(sys.modules.get(which.__module__), "__file__", None) or which.__module__


def description(which: type[Kind]) -> str:
    """A kind's first sentence."""
    return " ".join((which.__doc__ or "").split("\n\n")[0].split())


__all__ = [
    "SECTIONS",
    "Kind",
    "KindError",
    "Traits",
    "description",
    "forget",
    "kind",
    "registered",
    "section_fields",
    "source",
]
