"""Records of a comparison of solvers."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..solver_names import BY_KIND


@dataclasses.dataclass(frozen=True)
class Run:
    """One solver at one setting.

    **Fields:** `solver`; `setting`: its relative tolerance, or an optimizer's learning rate; `status`: `done`, or how
    it failed; `parameter_error`: distance of the final parameters from the reference's, over the distance that the
    reference travelled; `probe_errors`: largest distance over the saved times, over the largest value; `event_errors`:
    |time - reference's time| of the first crossing; `evaluations`: gradients, a Hessian-vector product counted as two;
    `steps`, `rejected`; `seconds`: of every repeat, without compilation. What a method does not tell is not a number.
    """

    solver: str
    setting: float
    status: str
    parameter_error: float
    probe_errors: Mapping[str, float]
    event_errors: Mapping[str, float]
    evaluations: int
    steps: float
    rejected: float
    seconds: tuple[float, ...]
    seconds_compile: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `work_precision` returns.

    **Fields:** `runs`: in the order in which they were asked for, failed ones among them; `reference`, `check`: the two
    solvers that are not under test, with their tolerance; `reference_error`: their distance, over the distance
    travelled. Errors near it say nothing.
    """

    runs: Sequence[Run]
    t1: float
    reference: str
    check: str
    reference_error: float

    @property
    def counted(self) -> str:
        """What `evaluations` are."""
        kinds = dict.fromkeys(run.solver for run in self.runs)
        implicit = [kind for kind in kinds if kind in BY_KIND and BY_KIND[kind].implicit]
        stages = f", of {', '.join(implicit)} those of stages, not of their solves" if implicit else ""
        return f"vector-field evaluations{stages}"

    def dataset(self):
        """As an `xarray.Dataset` with one row a run: dimensions `run`, `repeat`, `probe`, `event`."""
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        runs = self.runs
        probes, events = (
            sorted({k for run in runs for k in getattr(run, f)}) for f in ("probe_errors", "event_errors")
        )
        repeats = max(len(run.seconds) for run in runs)
        seconds = [[*run.seconds, *[math.nan] * (repeats - len(run.seconds))] for run in runs]
        data: dict[str, tuple] = {
            name: ("run", [getattr(run, name) for run in runs], {"long_name": text})
            for name, text in (
                ("status", "how the run ended"),
                ("parameter_error", "error of the final parameters over the distance travelled"),
                ("evaluations", self.counted),
                ("steps", "accepted steps"),
                ("rejected", "rejected steps"),
                ("seconds_compile", "seconds of compilation"),
            )
        }
        data["seconds"] = (("run", "repeat"), seconds, {"long_name": "seconds without compilation"})
        data["probe_error"] = (("run", "probe"), _table(runs, "probe_errors", probes), {"long_name": "error of probes"})
        data["event_error"] = (("run", "event"), _table(runs, "event_errors", events), {"long_name": "error of times"})
        coordinates = {
            "solver": ("run", [run.solver for run in runs]),
            "setting": ("run", [run.setting for run in runs]),
            "probe": probes,
            "event": events,
        }
        about = {"t1": self.t1, "reference": self.reference, "check": self.check}
        return xarray.Dataset(data, coordinates, {**about, "reference_error": self.reference_error})

    def table(self) -> str:
        """For a terminal."""
        columns = (("error", 10), ("evaluations", 13), ("steps", 9), ("rejected", 10), ("seconds", 10))
        head = f"{'solver':<14}{'setting':>9}" + "".join(f"{name:>{width}}" for name, width in columns) + "  status"
        rows = [
            f"{run.solver:<14}{run.setting:>9.0e}{run.parameter_error:>10.1e}{run.evaluations:>13}{_count(run.steps):>9}"
            f"{_count(run.rejected):>10}{np.median(run.seconds):>10.3f}  {run.status}"
            for run in self.runs
        ]
        foot = (
            f"error: of the final parameters (t = {self.t1:g}) over the distance travelled; evaluations: "
            f"{self.counted}. Reference {self.reference}, {self.reference_error:.0e} from {self.check}."
        )
        return "\n".join([head, *rows, foot])

    def document(self) -> dict[str, Any]:
        """As plain data for JSON, which has no numbers that are none: null instead."""
        about = {"reference": self.reference, "check": self.check, "reference_error": self.reference_error}
        return {**about, "runs": [_plain(dataclasses.asdict(run)) for run in self.runs]}

    def cheapest(self, solver: str, error: float) -> Run | None:
        """The run of a solver with fewest evaluations whose error is at most `error`; None if there is none."""
        good = [run for run in self.runs if run.solver == solver and run.parameter_error <= error]
        return min(good, key=lambda run: run.evaluations, default=None)


def _table(runs: Sequence[Run], field: str, names: Sequence[str]) -> np.ndarray:
    values = [[getattr(run, field).get(name, math.nan) for name in names] for run in runs]
    return np.array(values, float).reshape(len(runs), len(names))


def _count(value: float) -> str:
    """A count, or a dash where the method does not tell it."""
    return f"{value:.0f}" if math.isfinite(value) else "–"


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
