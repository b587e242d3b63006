"""An experiment: every section, every default, and what must hold between them."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..._values import is_whole
from ..base import Listed, Section, Seed, Short, about, wrong
from ..kind import registered
from ..kinds.figure import DEFAULT
from ..kinds.problem import ProblemKind
from ..kinds.solver import filled
from ..sections import of
from . import checks
from .certificate import Certificate, CertificateConfig
from .compare import Compare
from .descent import DescentConfig
from .evaluation import Devices, Evaluation
from .influence import InfluenceConfig
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
    name: Name = about("Names the run folder; that of the file if not given.", example="figure1")
    notes: Annotated[str, Field(max_length=10_000)] = about("Anything, for the reader.", "")
    seed: Seed = about("Root of the named random streams.", 0)
    seeds: Annotated[
        tuple[Seed, ...], Field(max_length=10_000), Short({"type": "integer", "minimum": 1, "maximum": 10_000})
    ] = about("How many seeds counting up from `seed`, or a list of seeds: an ensemble.", (), example=8)
    precision: Literal["float64", "float32"] = about("Of every number.", "float64")
    problem: of("problem") | None = about(
        "A whole problem, instead of task, model, init and loss.", None, example={"kind": "mine"}
    )
    task: of("task") | None = about(
        "What is learned.",
        default=None,
        validate_default=True,
        example={"kind": "cooccurrence", "samples": 60, "length": 5, "vocabulary": 64},
    )
    model: of("model", "cooccurrence_transformer") | None = about(
        "What learns.", default=None, validate_default=True, example={"width": 128, "neurons": 256}
    )
    init: of("init") | None = about(
        "Where the flow starts; kaiming_uniform, or a plugin's model as it is made, if not given.",
        default=None,
        validate_default=True,
        example="theory",
    )
    loss: of("loss") | None = about(
        "The loss of one sample; the one that fits the labels if not given.",
        default=None,
        validate_default=True,
        example="logistic",
    )
    flow: of("flow", "gradient") = about("The differential equation and how long it runs.", example={"t1": 300.0})
    solver: of("solver", "auto") = about("How the flow is integrated.", default="auto", validate_default=True)
    events: _many("event") = about(
        "Moments that are found exactly; phase1_end where labels are right or wrong, if not given.",
        default=None,
        validate_default=True,
        example=["phase1_end"],
    )
    probes: _many("probe") = about("What is measured beside the standard set.", (), example=["margins"])
    save: Annotated[SaveConfig, Field(validate_default=True)] = about(
        "Times at which the path is measured; 0 and t1 are always among them.", LogTimes(), example={"points": 200}
    )
    certificate: CertificateConfig = about(
        "How the error of the result is estimated; `true` and `false` are short for auto and none.",
        Certificate(),
        example=True,
    )
    evaluation: Evaluation = about("How the risk is computed.", Evaluation(), example={"samples_at_once": 1024})
    devices: Devices = about("How many devices one run is spread over.", Devices(), example={"samples": 4})
    descent: Annotated[tuple[DescentConfig, ...], Listed, Field(max_length=100)] = about(
        "Runs of optimizers from the same start, to compare with the flow; `discrete` is its old name.",
        (),
        example=[{"learning_rate": 0.01, "steps": 1000}],
    )
    scaling: ScalingConfig = about(
        "The experiment again at several sizes, for exponents (flowsim verify).",
        (),
        example={"over": "width", "values": [128, 256]},
    )
    compare: Compare = about("What `flowsim compare` compares.", Compare(), example={"solvers": ["tsit5", "dopri8"]})
    claims: _many("claim") = about("Statements that `flowsim verify` judges.", (), example=["mine"])
    sensitivities: _many("sensitivity") = about(
        "Families of problems along which the run is differentiated.", (), example=["mine"]
    )
    influence: InfluenceConfig = about(
        "Numbers whose derivatives by every sample's weight are taken: `loss` for the final one, or events by name.",
        (),
        example=["loss", "phase1_end"],
    )
    log: _many("log") = about("Loggers, called after every chunk.", (), example=["json_lines"])
    sweep: SweepConfig = Field(default_factory=dict)
    figures: _many("figure") = about(
        "What is drawn; the standard figures if not given.", default=None, validate_default=True, example=["loss"]
    )

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
        if is_whole(value) and 1 <= value <= 10_000:
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
        problem = info.data.get("problem")
        size = problem.start_size() if isinstance(problem, ProblemKind) else None
        return filled(solver, info.data.get("precision", "float64"), size)

    @field_validator("save")
    @classmethod
    def _first_time(cls, save: SaveConfig, info: Any) -> SaveConfig:
        return save.filled(info.data["flow"].t1) if "flow" in info.data else save

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
