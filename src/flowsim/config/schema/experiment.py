"""An experiment: every section, every default, and what must hold between them."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..base import Listed, Section, Seed, wrong
from ..kind import registered
from ..kinds.figure import DEFAULT
from ..kinds.solver import filled
from ..sections import of
from . import checks
from .certificate import Certificate, CertificateConfig
from .compare import Compare
from .descent import DescentConfig
from .evaluation import Devices, Evaluation
from .save import LogTimes, SaveConfig
from .scaling import ScalingConfig
from .sweep import SweepConfig

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*$", max_length=100)]


def _many(section: str) -> Any:
    """The type of a list of kinds."""
    return Annotated[tuple[of(section), ...], Listed, Field(max_length=100)]


class Experiment(Section):
    """One experiment, complete and consistent."""

    # `info` below is a pydantic.ValidationInfo, a protocol that beartype cannot check.
    # Order matters: a section's defaults may depend on the sections above it.
    name: Name
    notes: Annotated[str, Field(max_length=10_000)] = ""
    seed: Seed = 0
    seeds: Annotated[tuple[Seed, ...], Field(max_length=10_000)] = ()
    precision: Literal["float64", "float32"] = "float64"
    problem: of("problem") | None = None
    task: of("task") | None = Field(default=None, validate_default=True)
    model: of("model", "cooccurrence_transformer") | None = Field(default=None, validate_default=True)
    init: of("init") | None = Field(default=None, validate_default=True)
    loss: of("loss") | None = Field(default=None, validate_default=True)
    flow: of("flow", "gradient")
    solver: of("solver", "auto") = Field(default="auto", validate_default=True)
    events: _many("event") = Field(default=None, validate_default=True)
    probes: _many("probe") = ()
    save: Annotated[SaveConfig, Field(validate_default=True)] = LogTimes()
    certificate: CertificateConfig = Certificate()
    evaluation: Evaluation = Evaluation()
    devices: Devices = Devices()
    descent: Annotated[tuple[DescentConfig, ...], Listed, Field(max_length=100)] = ()
    scaling: ScalingConfig = ()
    compare: Compare = Compare()
    claims: _many("claim") = ()
    sensitivities: _many("sensitivity") = ()
    log: _many("log") = ()
    sweep: SweepConfig = Field(default_factory=dict)
    figures: _many("figure") = Field(default=None, validate_default=True)

    @property
    def discrete(self) -> tuple[DescentConfig, ...]:
        """The old name of `descent`."""
        return self.descent

    @field_validator("notes")
    @classmethod
    def _plain_text(cls, value: str) -> str:
        if any(not (c.isprintable() or c in "\n\t") for c in value):
            raise wrong("must be plain text without control characters")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_up(cls, value: Any, info: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
            first = info.data.get("seed", 0)
            return tuple(range(first, first + value))
        if isinstance(value, list | tuple):
            return tuple(value)
        raise wrong("must be how many seeds (1 … 10000) or a list of seeds")

    @field_validator("task", "model", mode="before")
    @classmethod
    def _needed(cls, value: Any, info: Any) -> Any:
        """Without a whole problem there must be a task and a model."""
        if value is None and info.data.get("problem", value) is None and "problem" in info.data:
            raise PydanticCustomError("flowsim_missing", "is missing", {"known": list(registered(info.field_name))})
        return value

    @field_validator("init", mode="before")
    @classmethod
    def _start(cls, value: Any, info: Any) -> Any:
        """A model of a user's starts as it is made."""
        model = info.data.get("model")
        if value is not None or model is None:
            return value
        return "kaiming_uniform" if type(model).__module__.startswith("flowsim.") else "as_made"

    @field_validator("loss", mode="before")
    @classmethod
    def _of_labels(cls, value: Any, info: Any) -> Any:
        """The loss that fits the labels."""
        task = info.data.get("task")
        if value is not None or task is None:
            return value
        return {"word": "cross_entropy", "number": "squared"}.get(task.traits.labels, "logistic")

    @field_validator("events", mode="before")
    @classmethod
    def _of_classification(cls, value: Any, info: Any) -> Any:
        """Where labels are right or wrong, the end of phase 1 is found unless the experiment lists its events."""
        if value is not None:
            return value
        task = info.data.get("task")
        return ("phase1_end",) if task is not None and task.traits.labels in ("sign", "word") else ()

    @field_validator("solver")
    @classmethod
    def _tolerances(cls, solver: Any, info: Any) -> Any:
        return filled(solver, info.data.get("precision", "float64"))

    @field_validator("save")
    @classmethod
    def _first_time(cls, save: SaveConfig, info: Any) -> SaveConfig:
        if not isinstance(save, LogTimes) or save.first is not None or "flow" not in info.data:
            return save
        return save.model_copy(update={"first": min(1e-3, info.data["flow"].t1 * 1e-3)})

    @field_validator("figures", mode="before")
    @classmethod
    def _what_is_there(cls, value: Any, info: Any) -> Any:
        """The standard figures, with attention maps where they are saved, unless the experiment lists its figures."""
        if value is not None:
            return value
        maps = any(probe.kind == "attention_map" for probe in info.data.get("probes", ()))
        return (*DEFAULT, "attention_maps") if maps else DEFAULT

    @field_validator("*", mode="after")
    @classmethod
    def _remember(cls, value: Any, info: Any) -> Any:
        """Sections that are sound are kept, so that checks between them run even if another section is not."""
        if info.context is not None:
            info.context[info.field_name] = value
        return value

    @model_validator(mode="after")
    def _consistent(self, info: Any):
        if info.context is None:  # made in Python; `load` runs the checks itself, to report places
            remarks = checks.remarks({name: getattr(self, name) for name in type(self).model_fields})
            if remarks:
                raise wrong(" ".join(f"{'.'.join(map(str, remark.path))} {remark.text(None)}" for remark in remarks))
        return self
