"""What a certified run gives a claim to work with."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problem import Problem
from ..records import Crossing, EventRecord
from ..result import Result
from .finding import NotReachedError
from .measured import Measured


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One certified run, measured.

    **Fields:** `problem`; `result`: certified, so that every variable has an error band. A claim may read any of
    `dataset`, `events` and `result`; `value`, `curve` and `time` give numbers with their error bounds.

    **Raises:** `ValueError` for a result without a certificate.
    """

    problem: Problem
    result: Result

    def __post_init__(self):
        if self.result.given is None:
            raise ValueError("claims need error bounds: simulate with certificate=True.")

    @functools.cached_property
    def dataset(self) -> Any:
        """The saved probes as an `xarray.Dataset`, each with its band `<name>_error`."""
        return self.result.dataset

    @functools.cached_property
    def events(self) -> Mapping[str, EventRecord]:
        """name -> record, with a bound on the error of the first time."""
        return self.result.events

    @property
    def end(self) -> float:
        """Where the run ended."""
        return float(self.dataset.time.values[-1])

    def time(self, event: str) -> Measured:
        """The first time of an event.

        **Raises:** `NotReachedError` if it never happened; the claim's verdict is then "not reached".
        """
        crossing = self._crossing(event)
        uncertainty = self.events[event].uncertainty
        # None: the two integrations disagree on whether it happened.
        return Measured(crossing.time, np.inf if uncertainty is None else uncertainty, f"time of {event}")

    def value(self, name: str, at: str | float | Measured | None = None) -> Measured:
        """A variable at an event, at a time, or at the end.

        At a saved time, and of a scalar at an event, it is exact within the run's error. In between it is linear
        between its neighbors, and its error is what holds both of them: a bound for what rises or falls all the way
        from one to the other. Add times with `save_times`.

        **Arguments:** `name`: a variable of `dataset`; `at`: an event's name (its first time), a time, perhaps with an
        error of its own, or None for the end of the run.

        **Raises:** `NotReachedError` if the run did not get there; `KeyError` for a name that nothing measured.
        """
        values, errors = self._with_error(name)
        if at is None:
            return Measured(values[-1], errors[-1], f"{name} at the end")
        if isinstance(at, str):
            return self._at_event(name, at)
        found = self._around(name, at) if isinstance(at, Measured) else self._at_time(name, float(at))
        return found.named(f"{name} at t = {float(at):g}")

    def curve(
        self, name: str, start: float | Measured = 0.0, end: float | Measured = np.inf
    ) -> tuple[np.ndarray, Measured]:
        """The saved times in [start, end], and a variable at each.

        **Raises:** `NotReachedError` if no time is saved between them; `KeyError` for a name that nothing measured.
        """
        values, errors = self._with_error(name)
        time, start, end = self.dataset.time.values, float(start), float(end)
        inside = (time >= start) & (time <= end)
        if not np.any(inside):
            raise NotReachedError(f"no time is saved between {start:g} and {end:g}")
        return time[inside], Measured(values[inside], errors[inside], name)

    def _at_event(self, name: str, event: str) -> Measured:
        time = self.time(event)
        between, values = self._at_time(name, time.value), self._crossing(event).values
        label = f"{name} at {event}"
        if name not in values or not np.isfinite(time.error):
            return between.named(label)
        times, curve = self.curve(name)
        right = int(np.clip(np.searchsorted(times, time.value), 1, len(times) - 1))
        slope = abs(curve.value[right] - curve.value[right - 1]) / (times[right] - times[right - 1])
        # The value there is the flow's own; what is uncertain is the flow, and by how much the event is late. Where
        # few times are saved their bands may both be narrow, and that of a steep rise between them is not.
        saved = max(curve.error[right - 1 : right + 1]) + 2 * slope * time.error
        own = self.result.certificate.crossing_values.get(event, ({},))[0].get(name, 0.0)
        return Measured(values[name], max(saved, own), label)

    def _around(self, name: str, time: Measured) -> Measured:
        """At a time with an error: what holds the values at the earliest and the latest that it can be."""
        here, last = self._at_time(name, time.value), float(self.end)
        ends = [self._at_time(name, float(np.clip(t, 0.0, last))) for t in (time.low, time.high)]
        error = np.maximum(*(np.abs(one.value - here.value) + one.error for one in ends))
        return Measured(here.value, np.where(np.isfinite(time.error), np.maximum(here.error, error), np.inf))

    def _at_time(self, name: str, time: float) -> Measured:
        times = self.dataset.time.values
        if time > times[-1] * (1 + 1e-12):
            raise NotReachedError(f"the run ended at t = {times[-1]:.6g}, before {time:.6g}")
        if not time >= times[0]:
            raise NotReachedError(f"the run began at t = {times[0]:.6g}, not at {time:.6g}")
        values, errors = self._with_error(name)
        saved = int(np.argmin(np.abs(times - time)))
        if abs(times[saved] - time) <= 1e-12 * abs(time):
            return Measured(values[saved], errors[saved])
        right = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1))
        part = float(np.clip((time - times[right - 1]) / (times[right] - times[right - 1]), 0.0, 1.0))
        low, high = values[right - 1], values[right]
        error = np.maximum(errors[right - 1], errors[right]) + max(part, 1 - part) * np.abs(high - low)
        return Measured(low + part * (high - low), error)

    def _crossing(self, event: str) -> Crossing:
        if event not in self.events:
            known = ", ".join(self.events) or "none"
            raise KeyError(f"no event {event!r} was watched; events: {known}.")
        if self.events[event].time is None:
            raise NotReachedError(f"{event} did not happen by t = {self.end:.6g}")
        return self.events[event].crossings[0]

    def _with_error(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self.dataset:
            known = ", ".join(str(n) for n in self.dataset if not str(n).endswith("_error"))
            raise KeyError(f"nothing measured {name!r}; variables: {known}.")
        values = np.asarray(self.dataset[name].values, np.float64)
        band = f"{name}_error"
        if band not in self.dataset:
            # A drift of an invariant is an error already; where the certificate is withheld nothing is known.
            known = not self.result.certificate.withheld or name.startswith("invariant_")
            return values, np.full_like(values, 0.0 if known else np.inf)
        return values, np.asarray(self.dataset[band].values, np.float64)
