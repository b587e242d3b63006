"""What `flowsim.simulate` returns."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import cast

import numpy as np
from jaxtyping import PyTree

from .. import _tree, probes
from .._show import table, text
from ..certificate import Certificate, certify
from ..records import EventRecord, SolverRecord, Status, Trajectory
from ..simulation import Carry, Chunk, History, Prepared, TakeUp, lengthened, observe, run
from . import parts, show
from .frame import to_frame
from .progress import following

_SAME = 1e-12  # times that differ by less are one, as in `saving.with_ends`


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
    - `prepared`, `history`: the run and all that it gave: what a certificate and a longer run are made from.
    - `given`: the certificate of a certified result, None if it has not been computed.
    """

    parameters: PyTree
    model: PyTree
    crossings: Mapping[str, EventRecord]
    status: Status
    solver: SolverRecord
    trajectory: Trajectory
    energy_identity: float
    prepared: Prepared
    history: History
    given: Certificate | None = None

    @cached_property
    def certificate(self) -> Certificate:
        """How exact this result is. Unless it was computed before, it costs a second integration, once."""
        return certify(self.prepared, self) if self.given is None else self.given

    def certified(self, certificate: Certificate) -> "Result":
        """The same result with this certificate: its events have bounds and its dataset has error bands."""
        return dataclasses.replace(self, given=certificate)

    def extend(
        self,
        *,
        t1: float,
        save_times: Sequence[float] | np.ndarray | None = None,
        max_steps: int | None = None,
        progress: Callable[[Chunk], None] | bool | None = None,
    ) -> "Result":
        """The run up to a later time: the steps of one run to `t1`, of which only the last one here is taken again.

        The end of a run cuts its last step short. A longer run goes back to before that step, with all that the
        solver knew there. A low-storage method has overwritten that state: its run goes on from its end.

        **Arguments:** `t1`: the new end; `save_times`: after the old end, by default as densely spaced in log t as the
        last two of the run; `max_steps`: of the whole run, if not the old limit; `progress`: as for `simulate`.

        **Raises:** `ValueError` for a `t1` that is not later, or for a run that failed or that an event stopped;
            `TypeError` for what is no number.
        """
        if self.status.kind not in ("done", "interrupted", "step_limit"):
            raise ValueError(
                f"a run that ended with {self.status.kind!r} ({self.status.message}) cannot be extended: "
                "start a new one there with flowsim.simulate(problem, start=result, …)."
            )
        longer = lengthened(self.prepared, t1, save_times, max_steps)
        with following(progress) as consumers:
            result = assemble(longer, run(longer, TakeUp(self.history), *consumers))
        return result if self.known is None else result.certified(result.certificate)

    def save(self, folder: str | os.PathLike, *, name: str | None = None, replace: bool = False) -> pathlib.Path:
        """Write the run into an ordinary run folder: `flowsim.load`, `flowsim report` and `flowsim explore` read it.

        With the certificate and the error bands if they have been computed; `trajectory.nc` is `dataset`,
        `parameters.safetensors` the arrays of `model`.

        **Arguments:** `name`: of the run, that of the folder by default. `replace`: put it in the place of the run that
        the folder holds; what flowsim did not write stays.

        **Returns:** the folder.

        **Raises:** `StoreError` for a folder that holds something (unless `replace`) or that cannot be written.
        """
        from .folder import save  # what reads and writes files is not needed by those who only simulate

        return save(self, folder, name=name, replace=replace)

    def __repr__(self) -> str:
        return text("Result", list(self._lines()))

    def _repr_html_(self) -> str:
        return table("Result", list(self._lines()), show.sparkline(self.trajectory))

    def _lines(self):
        return show.lines(self.status, self.solver, self.trajectory, list(self.events.values()), self.known)

    @property
    def carry(self) -> Carry:
        """Where the loop ended: all that the next step would depend on."""
        return cast(Carry, self.history.carry)

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
        return {name: record.bounded(certificate.crossing_errors[name]) for name, record in self.crossings.items()}

    @property
    def dataset(self):
        """The saved probes as a new labelled `xarray.Dataset`, with error bands once the certificate is known."""
        certificate = self.known
        return self.trajectory.dataset(None if certificate is None else certificate.probe_errors)

    def to_dataframe(self):
        """The saved probes as a `pandas.DataFrame`: a row for each time, a column for each entry of each probe."""
        return to_frame(self.dataset)

    @property
    def final(self) -> dict[str, float]:
        """Time and scalar probes at the end."""
        scalars = {k: float(v[-1]) for k, v in self.trajectory.values.items() if v.ndim == 1}
        return {"time": float(self.trajectory.time[-1]), **scalars}


def assemble(prepared: Prepared, history: History) -> Result:
    """The result of a history that ran to a status.

    **Raises:** `ValueError` if it did not.
    """
    plan, status, carry = prepared.plan, history.status, history.carry
    if status is None or carry is None:
        raise ValueError("the run is not over: its last chunk has no status.")
    # Cut short: also show the last good state. The clock that reached a saved time differs from it by a rounding.
    if len(history.times) == 0 or status.time - history.times[-1] > _SAME * abs(status.time):
        now = _tree.on_host(observe(plan, carry))
        if np.all(np.isfinite(now.get("loss", 0.0))) or len(history.times) == 0:
            history.add_rows(np.array([status.time]), {name: value[None] for name, value in now.items()})
    rows = history.rows
    final, model = parts.final(prepared, plan.flow.parameters(carry.state.flow))
    return Result(
        parameters=final,
        model=model,
        crossings=parts.events(plan, history.crossings),
        status=status,
        solver=parts.cost(prepared, history, carry),
        trajectory=Trajectory(
            history.times, rows, parts.variables(plan, rows), probes.coordinates(plan.problem, plan.flow)
        ),
        energy_identity=parts.energy_identity(plan, carry),
        prepared=prepared,
        history=history,
    )
