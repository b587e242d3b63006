"""An experiment: every section, every default, and what must hold between them."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from . import checks
from .base import Listed, Section, Seed, wrong
from .certificate import Certificate, CertificateConfig
from .compare import Compare
from .discrete import DiscreteConfig
from .events import EventConfig, Phase1End
from .flow import FlowConfig
from .init import InitConfig, KaimingUniform
from .loss import Loss, LossConfig
from .model import ModelConfig
from .probes import ProbeConfig
from .save import LogTimes, SaveConfig
from .scaling import ScalingConfig
from .solver import Solver, SolverConfig, filled
from .task import TaskConfig

FIGURES = ("loss", "attention", "alignment", "balance")  # drawn, with what `probes` asks for, unless others are listed

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*$", max_length=100)]
Figure = Literal[
    "loss", "attention", "attention_maps", "alignment", "balance", "invariants", "structure", "event_times", "descent"
]


class Experiment(Section):
    """One experiment, complete and consistent.

    **Fields:** as the sections of an experiment file. `seeds`: seeds of an ensemble, empty for a single run from
    `seed`; `8` in a file stands for eight seeds counting up from `seed`.
    """

    # `info` below is a pydantic.ValidationInfo, a protocol that beartype cannot check.
    # Order matters: a section's defaults may depend on the sections above it.
    name: Name
    notes: Annotated[str, Field(max_length=10_000)] = ""
    seed: Seed = 0
    seeds: Annotated[tuple[Seed, ...], Field(max_length=10_000)] = ()
    precision: Literal["float64", "float32"] = "float64"
    task: TaskConfig
    model: ModelConfig
    init: InitConfig = KaimingUniform()
    loss: LossConfig = Loss(kind="logistic")
    flow: FlowConfig
    solver: Annotated[SolverConfig, Field(validate_default=True)] = Solver()
    events: Annotated[tuple[EventConfig, ...], Listed, Field(max_length=100)] = (Phase1End(),)
    probes: Annotated[tuple[ProbeConfig, ...], Listed, Field(max_length=100)] = ()
    save: Annotated[SaveConfig, Field(validate_default=True)] = LogTimes()
    certificate: CertificateConfig = Certificate()
    discrete: Annotated[tuple[DiscreteConfig, ...], Listed, Field(max_length=100)] = ()
    scaling: ScalingConfig = ()
    compare: Compare = Compare()
    figures: Annotated[tuple[Figure, ...], Listed, Field(validate_default=True)] = FIGURES

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

    @field_validator("solver")
    @classmethod
    def _tolerances(cls, solver: Solver, info: Any) -> Solver:
        return filled(solver, info.data.get("precision", "float64"))

    @field_validator("save")
    @classmethod
    def _first_time(cls, save: SaveConfig, info: Any) -> SaveConfig:
        if not isinstance(save, LogTimes) or save.first is not None or "flow" not in info.data:
            return save
        return save.model_copy(update={"first": min(1e-3, info.data["flow"].t1 * 1e-3)})

    @field_validator("figures", mode="before")
    @classmethod
    def _maps_that_are_saved(cls, value: Any, info: Any) -> Any:
        """Where attention maps are saved they are drawn, unless the experiment lists its figures itself."""
        maps = any(probe.kind == "attention_map" for probe in info.data.get("probes", ()))
        return (*FIGURES, "attention_maps") if value is FIGURES and maps else value

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
