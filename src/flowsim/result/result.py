"""What `flowsim.simulate` returns."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property

from jaxtyping import PyTree

from ..certificate import Certificate, certify
from ..records import EventRecord, SolverRecord, Status, Trajectory
from ..simulation import Carry, Prepared


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What `flowsim.simulate` returns. It does not change; what could be added to it makes a new one.

    **Fields:**

    - `parameters`: final parameters in the shape in which the user gave them (of a model: its trained part).
    - `model`: the trained model; for `Problem.from_loss`, the final pytree.
    - `crossings`: name -> `EventRecord` as recorded; `events` adds the certificate's bounds.
    - `status`, `solver`: how it ended and what it cost.
    - `trajectory`: saved probes as arrays; `dataset` labels them.
    - `energy_identity`: |energy lost - ∫ dissipation| over energy lost, an exact identity of the flow.
    - `prepared`, `carry`: the run, and where it ended: what a certificate and a longer run are made from.
    - `given`: the certificate of a certified result, None of one whose certificate has not been computed.
    """

    parameters: PyTree
    model: PyTree
    crossings: Mapping[str, EventRecord]
    status: Status
    solver: SolverRecord
    trajectory: Trajectory
    energy_identity: float
    prepared: Prepared
    carry: Carry
    given: Certificate | None = None

    @cached_property
    def certificate(self) -> Certificate:
        """How exact this result is. Unless it was computed before, it costs a second integration, once."""
        return certify(self.prepared, self) if self.given is None else self.given

    def certified(self, certificate: Certificate) -> "Result":
        """The same result with this certificate: its events have bounds and its dataset has error bands."""
        return dataclasses.replace(self, given=certificate)

    @property
    def known(self) -> Certificate | None:
        """The certificate if it has been computed, None otherwise."""
        return self.__dict__.get("certificate", self.given)

    @property
    def events(self) -> dict[str, EventRecord]:
        """name -> `EventRecord`, in order of time; with `uncertainty` once the certificate is known."""
        certificate = self.known
        if certificate is None:
            return dict(self.crossings)
        bounds = certificate.event_errors
        return {name: dataclasses.replace(r, uncertainty=bounds[name]) for name, r in self.crossings.items()}

    @property
    def dataset(self):
        """The saved probes as a new labelled `xarray.Dataset`, with error bands once the certificate is known."""
        certificate = self.known
        return self.trajectory.dataset(None if certificate is None else certificate.probe_errors)

    @property
    def final(self) -> dict[str, float]:
        """Time and scalar probes at the end."""
        scalars = {k: float(v[-1]) for k, v in self.trajectory.values.items() if v.ndim == 1}
        return {"time": float(self.trajectory.time[-1]), **scalars}
