"""How exact a result is."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import PyTree

from .._show import table, text
from ..records import EventRecord, SolverRecord, Status, Trajectory
from ..simulation import Carry


@runtime_checkable
class Uncertified(Protocol):
    """What of a result its certificate is made from; see `flowsim.Result`."""

    @property
    def model(self) -> PyTree: ...
    @property
    def crossings(self) -> Mapping[str, EventRecord]: ...
    @property
    def status(self) -> Status: ...
    @property
    def solver(self) -> SolverRecord: ...
    @property
    def trajectory(self) -> Trajectory: ...
    @property
    def energy_identity(self) -> float: ...
    @property
    def carry(self) -> Carry: ...


@dataclasses.dataclass(frozen=True, repr=False)
class Certificate:
    """Bounds on the error of a result, from evidence that the result did not produce.

    **Fields:**

    - `relative_error`: bound on the distance of the final parameters from the true flow's, over the distance that the
      flow travelled; infinite where it is withheld, because what it rests on does not hold (`withheld` says why).
    - `energy_identity`: |loss(0) - loss(t) - ∫ ‖∇loss‖² dt| over the loss that was lost (0 for an exact flow).
    - `invariants`: name -> relative drift over the run of a quantity that the exact flow conserves.
    - `crossing_errors`: event name -> bound on the error of each of its times, None where the two runs disagree on
      whether it happened.
    - `crossing_values`: event name -> for each crossing, bounds on the errors of the numbers measured there, by name.
    - `probe_errors`: variable name -> bound on its error at every saved time, in the variable's shape.
    - `rounding_floor`: the part of `relative_error` that rounding alone accounts for; no tolerance goes below it.
    - `method`: where the evidence comes from, in a sentence.
    - `evaluations`: vector-field evaluations that it cost.
    - `warnings`: what the evidence cannot vouch for, the reasons in `withheld` first.
    - `withheld`: why no bound is given; empty where one is.
    """

    relative_error: float
    energy_identity: float
    invariants: Mapping[str, float]
    crossing_errors: Mapping[str, tuple[float | None, ...]]
    probe_errors: Mapping[str, np.ndarray] = dataclasses.field(repr=False)
    rounding_floor: float
    method: str
    evaluations: int
    warnings: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    crossing_values: Mapping[str, tuple[Mapping[str, float], ...]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def event_errors(self) -> dict[str, float | None]:
        """Event name -> bound on the error of its first time, None where there is none."""
        return {name: errors[0] if errors else None for name, errors in self.crossing_errors.items()}

    def __repr__(self) -> str:
        return text("Certificate", self._lines())

    def _repr_html_(self) -> str:
        return table("Certificate", self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        bounds = [f"{name} {'unknown' if x is None else f'{x:.0e}'}" for name, x in self.event_errors.items()]
        found = [
            ("relative error", f"≤ {self.relative_error:.2e} (rounding alone {self.rounding_floor:.1e})"),
            ("energy identity", f"{self.energy_identity:.1e}"),
            ("invariants", ", ".join(f"{name} {x:.1e}" for name, x in self.invariants.items()) or "none known"),
            ("event errors", ", ".join(bounds) or "no events"),
            ("method", f"{self.method}; {self.evaluations} gradients"),
        ]
        found += [("withheld", why) for why in self.withheld[:5]]
        return found + [("warning", warning) for warning in self.warnings[:5]]
