"""What `flowsim.sensitivity` and `flowsim.influence` return."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import PyTree

from ..certificate import Certificate
from ..records import EventRecord, SolverRecord, Status
from ..result import Result

_TANGENTIAL = 1e-3  # height of the turning point ahead, over the event's value at t = 0


@dataclasses.dataclass(frozen=True)
class EventSensitivity:
    """When an event happens, and how that moves with ε.

    **Fields:**

    - `record`: the event's crossings as of an ordinary run.
    - `derivatives`: dT/dε of every crossing: a number, or an array over the entries of ε.
    - `derivative_error`: bound on the error of the first crossing's derivative; None without a certificate, or if
      there is no crossing.
    - `turning`: of every crossing g'²/(2 |g''| |g(0)|), how far the event's value goes beyond 0 before it turns (to
      second order), relative to where it started.
    """

    record: EventRecord
    derivatives: tuple[Any, ...]
    turning: tuple[float, ...]
    derivative_error: Any = None

    @property
    def time(self) -> float | None:
        """The first crossing, None if there was none."""
        return self.record.time

    @property
    def times(self) -> list[float]:
        return self.record.times

    @property
    def derivative(self) -> Any:
        """dT/dε of the first crossing, None if there was none."""
        return self.derivatives[0] if self.derivatives else None

    @property
    def nearly_tangential(self) -> bool:
        """Does the event's value hardly cross 0? Then a small change of ε removes the crossing."""
        return bool(self.turning) and self.turning[0] < _TANGENTIAL


@dataclasses.dataclass(frozen=True)
class SensitivityCertificate:
    """Bounds on the errors of derivatives, from a second integration of run and derivatives together.

    **Fields:**

    - `relative_error`: bound on the distance of the final parameters' derivative from the true one, over its norm; the
      largest over the directions.
    - `relative_errors`: the same of every direction.
    - `derivative_errors`: event -> bound on the error of its first time's derivative; None where the two integrations
      disagree on whether it happens, and where `run.withheld` says why there are no bounds.
    - `run`: the ordinary certificate of the run: of parameters, event times and probes, derivatives among them.
    - `warnings`: what the evidence cannot vouch for.
    """

    relative_error: float
    relative_errors: np.ndarray
    derivative_errors: Mapping[str, Any]
    run: Certificate
    warnings: tuple[str, ...] = ()

    @property
    def evaluations(self) -> int:
        """Gradients that it cost."""
        return self.run.evaluations


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """A run of one member of a family, with its derivatives by ε.

    **Fields:**

    - `at`: ε. `result`: the run as `flowsim.simulate` would give it, its dataset with the derivatives.
    - `parameters_derivative`: of the final parameters, in their shape; with a first axis for the entries of ε, if it
      is a vector.
    - `events`: name -> `EventSensitivity`.
    - `certificate`: None if it was not asked for.
    """

    at: np.ndarray
    result: Result
    parameters_derivative: PyTree
    events: Mapping[str, EventSensitivity]
    certificate: SensitivityCertificate | None = None

    @property
    def dataset(self) -> Any:
        """The saved probes with `<name>_derivative` of each, and error bands if there is a certificate."""
        return self.result.dataset

    @property
    def status(self) -> Status:
        return self.result.status

    @property
    def solver(self) -> SolverRecord:
        return self.result.solver

    @property
    def parameters(self) -> PyTree:
        """The final parameters, as of an ordinary result."""
        return self.result.parameters

    def exponent(self, event: str) -> Any:
        """d log T / d log ε of an event's first time: the local exponent of the law T ∝ ε^p.

        For a family whose ε is the scale itself. Where ε is relative, as in σ (1 + ε) at ε = 0, the exponent in σ is
        `derivative / time`.

        **Raises:** `ValueError` if the event never happens, or if an entry of ε is not positive.
        """
        found = self.events[event]
        if found.time is None:
            raise ValueError(f"event {event} never happens: its time has no exponent.")
        if not np.all(self.at > 0):
            raise ValueError(f"d log T / d log ε needs ε > 0, got {self.at}; use derivative / time.")
        exponents = np.asarray(found.derivative) * self.at / found.time
        return float(exponents) if exponents.ndim == 0 else exponents


@dataclasses.dataclass(frozen=True)
class Influence:
    """Derivatives of one number of a run by every sample's weight, at weights 1 (or those of the problem).

    **Fields:**

    - `of`: what was differentiated; `value`: its value, None for an event that never happens.
    - `derivatives`: by the weight of each sample; None for such an event.
    - `errors`: bound on the error of each; None without a certificate, or where it is withheld.
    - `run_evaluations`, `adjoint_evaluations`: gradients of the run, and of the backward pass (a vector-Jacobian
      product of the velocity counted as two).
    - `groups`, `group_names`: of the samples, None and empty where there are none.
    - `withheld`: why there is no bound; empty where there is one, or where none was asked for.
    """

    of: str
    value: float | None
    derivatives: np.ndarray | None
    errors: np.ndarray | None
    run_evaluations: int
    adjoint_evaluations: int
    groups: np.ndarray | None
    group_names: tuple[str, ...]
    withheld: str = ""

    @property
    def dataset(self) -> Any:
        """`influence(sample)` with its error and the samples' groups, as an `xarray.Dataset`."""
        if self.derivatives is None:
            raise ValueError(f"{self.of} never happens: there is nothing to differentiate.")
        return together([self]).isel(quantity=0)

    def by_group(self) -> dict[str, float]:
        """The sum over the samples of each group: the derivative by a weight that they share."""
        if self.groups is None or self.derivatives is None:
            raise ValueError("the samples have no groups, or the event never happens.")
        return {name: float(np.sum(self.derivatives[self.groups == i])) for i, name in enumerate(self.group_names)}


def together(found: Sequence[Influence]) -> Any:
    """Several numbers of one run as an `xarray.Dataset`: `influence(quantity, sample)`, its bounds, the groups."""
    import xarray  # kept out of `import flowsim`

    first = found[0]
    labels, dims = [one.of for one in found], ("quantity", "sample")
    rows = np.stack([np.asarray(one.derivatives) for one in found])
    about = {"long_name": "derivative by the weight of the sample", "units": "1"}
    data: dict[str, Any] = {"influence": (dims, rows, about)}
    if all(one.errors is not None for one in found):
        bounds = np.stack([np.asarray(one.errors) for one in found])
        data["influence_error"] = (dims, bounds, {"long_name": "error bound of influence", "units": "1"})
    coords: dict[str, Any] = {"quantity": labels, "sample": np.arange(rows.shape[1])}
    if first.groups is not None:
        coords["group_of_sample"] = ("sample", [first.group_names[i] for i in first.groups])
    return xarray.Dataset(data, coords=coords)


def turning(slope: float, bend: float, start: float) -> float:
    """g'²/(2 |g''| |g(0)|), infinite where the value does not turn."""
    depth = 2 * abs(bend) * abs(start)
    return math.inf if depth == 0 else slope**2 / depth
