"""`summary.json` as a typed record: what a run writes, `flowsim.load` gives back, and terminal and report show."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from .._files import RefusedError, refuse_irregular, write_json
from ..records import Kinks

NAME, SCHEMA_VERSION = "summary.json", 1
COMPLETE = ("done", "event")
_LARGEST = 1 << 28  # bytes


class Record(BaseModel):
    """A part of `summary.json`. Numbers are finite or None; only what was given is written, in the order of fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Scalars(Record):
    """A record with what was measured at one moment beside its own fields: scalar probes, and records of an event."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float | list[Any] | None]

    @property
    def scalars(self) -> dict[str, float | None]:
        """Every number that was measured, by name."""
        return {name: value for name, value in self.measured.items() if not isinstance(value, list)}

    @property
    def measured(self) -> dict[str, Any]:
        """Everything that was measured, by name."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def loss(self) -> float | None:
        return self.scalars.get("loss")


class EventSummary(Scalars):
    """Crossings of one event; of an ensemble the median over the seeds, with how often it `fired` and its quantiles.

    **Fields:** `time`: the first crossing, None if there was none; `uncertainty`: bound on its error.
    """

    description: str = ""
    time: float | None = None
    times: tuple[float, ...] = ()
    directions: tuple[int, ...] = ()
    uncertainty: float | None = None
    fired: int | None = None
    quantiles: dict[str, float | None] | None = None


class PhaseSummary(Record):
    """A part of a run from one saddle to the next, as `flowsim.events.Phase`."""

    start: float
    end: float
    height: float
    height_error: float | None = None
    index: int | None = None


class FinalState(Scalars):
    """Time and scalar probes at the end; of an ensemble, medians over the seeds."""

    time: float | None = None

    @property
    def min_margin(self) -> float | None:
        return self.scalars.get("min_margin")


class CertificateSummary(Record):
    """How exact the run is: see `flowsim.certificate.Certificate`."""

    relative_error: float | None = None
    relative_error_median: float | None = None
    energy_identity: float | None = None
    invariants: dict[str, float | None] = {}
    rounding_floor: float | None = None
    method: str = ""
    vector_field_evaluations: int | None = None
    warnings: tuple[str, ...] = ()


class SwitchSummary(Record):
    """From `time` on the solver `kind` took the steps."""

    time: float
    kind: str


class SolverSummary(Record):
    """What the integration cost. Seconds of compiling and of running are apart, as are those of what came after.

    **Fields:** `implicit`: `vector_field_evaluations` are of its stages alone, without their solves. `compensated`:
    what roundings left out of the state was carried along.
    """

    kind: str = ""
    rtol: float | None = None
    atol: float | None = None
    steps: int | None = None
    rejected: int | None = None
    vector_field_evaluations: int | None = None
    event_evaluations: int | None = None
    reduction: str = ""
    reduction_reason: str = ""
    seconds_compile: float | None = None
    seconds_run: float | None = None
    seconds_certificate: float | None = None
    seconds_descent: float | None = None
    switches: tuple[SwitchSummary, ...] = ()
    kinks: Kinks | None = None
    implicit: bool = False
    compensated: bool = False


class EventShift(Record):
    """First times of one event on the flow and on descent, and the second less the first."""

    flow: float | None = None
    descent: float | None = None
    shift: float | None = None


class Edge(Record):
    """Learning rate times sharpness: its largest value, the limit of stability, and when it was first beyond it."""

    limit: float | None = None
    largest: float
    first_time_beyond: float | None = None


class DescentRun(Record):
    """An optimizer's steps against the flow. Distances are over the distance that the flow travels."""

    optimizer: str
    against: str
    learning_rate: float
    steps: int
    time: float
    final_distance: float | None = None
    largest_distance: float | None = None
    largest_distance_time: float
    tube: float
    exit_step: int | None = None
    exit_time: float | None = None
    events: dict[str, EventShift] = {}
    edge: Edge | None = None


class DescentOrder(Record):
    """A fitted order in the learning rate, None with the `reason` why there is none."""

    optimizer: str
    against: str
    quantity: str
    learning_rates: tuple[float, ...] = ()
    order: float | None = None
    standard_error: float | None = None
    reason: str | None = None


class DescentSummary(Record):
    """Every optimizer's run that was compared with the flow, and what was fitted over their learning rates."""

    runs: tuple[DescentRun, ...] = ()
    orders: tuple[DescentOrder, ...] = ()


class InfluenceSummary(Record):
    """One number's derivatives by the samples' weights; the derivatives themselves are in `trajectory.nc`.

    **Fields:** `value`: the number; `by_group`: derivatives by a weight that each group shares; `error`: the largest
    bound over the samples; `reason`: why there are no derivatives, or no bound.
    """

    value: float | None = None
    by_group: dict[str, float] = {}
    error: float | None = None
    run_evaluations: int | None = None
    adjoint_evaluations: int | None = None
    reason: str | None = None


class Summary(Record):
    """What happened in a run. `status` is a `flowsim.result.Status` kind, or `incomplete` before the end.

    **Fields:** `member`: the id that a sweep has, or would have, for this run; `seeds`, `failed_seeds`: of an ensemble;
    `energy_identity`: where no certificate has it, and of an ensemble the largest.
    """

    schema_version: int = SCHEMA_VERSION
    name: str = ""
    member: str | None = None
    status: str = "incomplete"
    message: str = ""
    remedy: str = ""
    complete: bool = False
    seeds: tuple[int, ...] = ()
    failed_seeds: tuple[int, ...] = ()
    events: dict[str, EventSummary] = {}
    phases: tuple[PhaseSummary, ...] = ()
    final: FinalState | None = None
    certificate: CertificateSummary | None = None
    energy_identity: float | None = None
    solver: SolverSummary | None = None
    descent: DescentSummary | None = None
    influence: dict[str, InfluenceSummary] = {}

    @property
    def ok(self) -> bool:
        """Did the run end where the experiment said it should?"""
        return self.status in COMPLETE

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    def write(self, folder: pathlib.Path) -> None:
        write_json(folder / NAME, self.record())

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Summary | None":
        """The summary of a run folder, None if the run has not ended.

        **Raises:** `RefusedError` that names the file and every place where it is not a summary.
        """
        path = folder / NAME
        if not path.exists() and not path.is_symlink():
            return None
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, content: Any, path: pathlib.Path | str = NAME) -> "Summary":
        """The summary in a JSON document. Raises as `read` does; `path` is named then."""
        try:
            return cls.model_validate_json(json.dumps(content))
        except pydantic.ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()[:10]]
            raise RefusedError(
                f"{path}: is not a run's summary; it was edited or damaged: {'; '.join(wrong)}"
            ) from None


def number(value: float | None) -> float | None:
    """JSON has no infinity and no NaN: what is not finite is None."""
    return float(value) if value is not None and math.isfinite(value) else None


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """`number` of each, also inside lists."""
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else number(value)


def read_json(path: pathlib.Path) -> Any:
    """A JSON document of a run folder; numbers that JSON does not have are refused.

    **Raises:** `RefusedError` that names the file.
    """
    refuse_irregular(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is far too large")
        return json.loads(path.read_text("utf8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedError(f"{path}: cannot be read as JSON ({error}); it is damaged") from None


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")
