"""What is kept of many seeds' runs."""

import dataclasses
from functools import cached_property

import numpy as np

from .._show import text
from ..records import EventTimes
from .members import AbstractMembers


@dataclasses.dataclass(frozen=True)
class EnsembleResult:
    """The runs of many seeds.

    **Fields:** `members`: in the order of the seeds, a sequence of `Member`. Of a batch each is made from the batch's
    arrays when it is asked for; what follows is read off the arrays.
    """

    members: AbstractMembers

    def __repr__(self) -> str:
        ended = "all at their end" if self.ok else "not all at their end"
        rows = [("members", f"{len(self.members)}, {ended}, {'' if self.certified else 'not '}certified")]
        for name, record in self.events.items():
            median = record.quantile(0.5)
            when = "" if median is None else f", median t = {median:.6g}"
            rows.append((name, f"happened in {record.fired}{when}"))
        return text("EnsembleResult", rows)

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.members.seeds

    @property
    def ok(self) -> bool:
        """Did every member reach its end?"""
        return self.members.ok

    @property
    def certified(self) -> bool:
        """Has every member a certificate?"""
        return self.members.certified

    @cached_property
    def events(self) -> dict[str, EventTimes]:
        """name -> first times over the seeds."""
        return {
            name: EventTimes(name, record.description, self.members.first_times(name))
            for name, record in self.members[0].events.items()
        }

    @cached_property
    def dataset(self):
        """Every probe over (seed, time, …) as an `xarray.Dataset`, with `event_<name>(seed)` for first event times.

        A member that ended early has NaN after its last saved time, and an event that never happened has time NaN.
        With certificates there are `relative_error(seed)` and the error band `<name>_error` of each probe, NaN for a
        seed whose evidence failed.
        """
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        longest = self.members.longest()
        frame = longest.dataset()
        variables = {}
        for name in map(str, frame):
            dims, about = ("seed", *frame[name].dims), frame[name].attrs
            variables[name] = (dims, self.members.values(name, longest.time), about)
            bands = self.members.bands(name, longest.time) if self.certified else np.nan
            if not np.all(np.isnan(bands)):
                about = {**about, "long_name": f"error bound of {about['long_name']}"}
                variables[f"{name}_error"] = (dims, bands, about)
        for name, event in self.events.items():
            attributes = {"long_name": f"time of {name}: {event.description}", "units": "1"}
            variables[f"event_{name}"] = (("seed",), event.times, attributes)
        if self.certified:
            attributes = {"long_name": "certified error of the final parameters, over the distance travelled"}
            errors = self.members.relative_errors()
            errors = np.where(np.isfinite(errors), errors, np.nan)
            variables["relative_error"] = (("seed",), errors, {**attributes, "units": "1"})
        return xarray.Dataset(variables, coords={**frame.coords, "seed": list(self.seeds)})
