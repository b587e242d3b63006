"""Plain records of what a run gave."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of event times over seeds


@dataclasses.dataclass(frozen=True)
class Status:
    """How a run ended, and what to do about it.

    `kind` is one of `done`, `event` (a terminal event stopped it), `interrupted`, `step_limit`, `step_size_floor`,
    `not_finite`, `implicit_failed`, `beyond_reach`, `sliding`, `blow_up`.
    """

    kind: str
    time: float
    message: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Did the run reach its end, or the terminal event that it was to stop at?"""
        return self.kind in ("done", "event")


@dataclasses.dataclass(frozen=True)
class Crossing:
    """One crossing of one event.

    **Fields:** `time`; `direction` +1 or -1; `refined`: solved for on the flow (False: only located on the dense
    output, because the exact step showed no sign change in the bracket); `resolved`: the step's scan resolved the
    event, so no crossing in this step was missed; `values`: the scalar probes at the crossing, and the event's records;
    `slope`: the event's rate of change there, 0 where it jumps; `noise`: what a few roundings of the state make of the
    event's value; `uncertainty`: bound on the error of `time` from the certificate, None without one or where it gives
    none.
    """

    event: str
    time: float
    direction: int
    refined: bool
    resolved: bool
    values: Mapping[str, Any]
    slope: float = 0.0
    noise: float = 0.0
    uncertainty: float | None = None


@dataclasses.dataclass(frozen=True, repr=False)
class EventRecord:
    """All crossings of one event, in order of time; none is an explicit result.

    **Fields:** `uncertainty`: bound on the error of `time`, the first crossing's, from the certificate; None without
    one.
    """

    name: str
    description: str
    crossings: tuple[Crossing, ...]
    uncertainty: float | None = None

    @property
    def time(self) -> float | None:
        """The first crossing, None if there was none."""
        return self.crossings[0].time if self.crossings else None

    def bounded(self, errors: Sequence[float | None]) -> "EventRecord":
        """The same record with a bound on the error of every crossing's time."""
        pairs = zip(self.crossings, errors, strict=True)
        crossings = tuple(dataclasses.replace(crossing, uncertainty=error) for crossing, error in pairs)
        return dataclasses.replace(self, crossings=crossings, uncertainty=errors[0] if errors else None)

    @property
    def times(self) -> list[float]:
        return [crossing.time for crossing in self.crossings]

    @property
    def text(self) -> str:
        """When it happened, in a line."""
        if self.time is None:
            return "never"
        bound = "" if self.uncertainty is None else f" ± {self.uncertainty:.0e}"
        return f"t = {self.time:.10g}{bound}" + ("" if len(self.crossings) == 1 else f", {len(self.crossings)} times")

    def __repr__(self) -> str:
        return f"EventRecord({self.name}: {self.text})"


@dataclasses.dataclass(frozen=True)
class EventTimes:
    """First times of one event over the seeds; NaN where it never happened."""

    name: str
    description: str
    times: np.ndarray

    @property
    def fired(self) -> int:
        """In how many seeds it happened."""
        return int(np.isfinite(self.times).sum())

    def quantile(self, q: float) -> float | None:
        """The q-quantile over all seeds, a seed without the event counting as later than all others; None if it is
        such a seed's."""
        ordered = np.sort(np.where(np.isfinite(self.times), self.times, np.inf))
        position = q * (ordered.size - 1)
        low, high = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
        if not np.isfinite(high):
            return None
        return float(low + (position - np.floor(position)) * (high - low))

    @property
    def quantiles(self) -> dict[str, float | None]:
        return {f"{q:g}": self.quantile(q) for q in QUANTILES}


@dataclasses.dataclass(frozen=True)
class Switch:
    """From `time` on the solver `kind` took the steps."""

    time: float
    kind: str


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@dataclasses.dataclass(frozen=True)
class Kinks:
    """What a flow met that follows the kinks of its risk.

    **Fields:** `total`: kinks of the risk; `crossed`: how often one was passed; `slides`: how often the flow began to
    slide along one; `sliding`: along how many it slides at the end; `undecided`: how often no side was consistent, or
    more kinks met than there are directions to leave them in, as where a neuron's weights vanish.
    """

    total: int
    crossed: int
    slides: int
    sliding: int
    undecided: int

    @property
    def text(self) -> str:
        """In a line."""
        kinks, passed, slides = _many(self.total, "kink"), _many(self.crossed, "time"), _many(self.slides, "slide")
        along = "it" if self.total == 1 else "them"
        which = f" {self.sliding} of them" if self.slides > 1 else ""
        return f"{kinks}, passed {passed}; {slides} along {along}" + (f",{which} to the end" if self.sliding else "")


def counted(count: int | str, what: str, *, implicit: bool) -> str:
    """So many `what`, as a solver counts them."""
    return f"at least {count} {what} (its solves are not counted)" if implicit else f"{count} {what}"


@dataclasses.dataclass(frozen=True)
class SolverRecord:
    """What the integration cost. Seconds of compilation and of running are apart.

    `vector_field_evaluations` counts gradients, with a Hessian-vector product as two; of an `implicit` solver those of
    its stages alone, as it does not tell what its equations took. `event_evaluations` counts gradients spent on solving
    for event times, which are not part of the path. `kind` is the solver that began; `switches` are those that took
    over from it where the flow turned stiff, or ceased to be. `kinks` is of a flow that follows them, else None.
    `compensated`: what roundings left out of the state was carried along, by `kind` at least.
    """

    kind: str
    rtol: float
    atol: float
    steps: int
    rejected: int
    vector_field_evaluations: int
    event_evaluations: int
    reduction: str
    reduction_reason: str
    seconds_compile: float
    seconds_run: float
    switches: tuple[Switch, ...] = ()
    kinks: Kinks | None = None
    implicit: bool = False
    compensated: bool = False

    @property
    def gradients(self) -> str:
        """How many, in words."""
        return counted(self.vector_field_evaluations, "gradients", implicit=self.implicit)


@dataclasses.dataclass(frozen=True)
class Variable:
    """Dimensions and attributes of a saved probe."""

    dims: tuple[str, ...]
    long_name: str
    units: str


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Saved probes: `values[name]` has shape (time, *axes)."""

    time: np.ndarray
    values: dict[str, np.ndarray]
    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Sequence]

    def dataset(self, errors: Mapping[str, np.ndarray] | None = None):
        """As a labelled `xarray.Dataset`; `errors` adds a band `<name>_error` to each variable that it names."""
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        data = {}
        for name, variable in self.variables.items():
            dims = ("time", *variable.dims)
            data[name] = (dims, self.values[name], {"long_name": variable.long_name, "units": variable.units})
            if errors and name in errors:
                text = f"error bound of {variable.long_name}"
                data[f"{name}_error"] = (dims, errors[name], {"long_name": text, "units": variable.units})
        used = {dim for dims, *_ in data.values() for dim in dims}
        coordinates = {k: list(v) for k, v in self.coordinates.items() if k in used}
        time = ("time", self.time, {"long_name": "time of the flow", "units": "1"})
        return xarray.Dataset(data, coords={"time": time, **coordinates})
